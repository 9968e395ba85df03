//! The bill of materials in the form of CycloneDX 1.5 (ECMA-424).

use anyhow::Result;
use serde_json::{Value, json};

use super::packages::{Package, own};

/// All packages that are linked into the release, as components.
pub(super) fn cyclonedx(tree: &[Package]) -> Result<Value> {
    let lob = own(tree)?;
    let components: Vec<Value> =
        tree.iter().filter(|p| p.name != lob.name).map(component).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": format!("lob@{}", lob.version),
                "name": "lob",
                "version": lob.version,
                "licenses": [{"expression": lob.licence}],
            },
        },
        "components": components,
    }))
}

fn component(package: &Package) -> Value {
    let Package { name, version, licence, .. } = package;
    let mut component = json!({
        "type": "library",
        "bom-ref": format!("{name}@{version}"),
        "name": name,
        "version": version,
        "licenses": [{"expression": licence}],
    });
    if package.is_outside {
        component["purl"] = json!(format!("pkg:cargo/{name}@{version}"));
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(url) = &package.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": url}]);
    }
    component
}
