//! `cargo xtask fixtures`: small synthetic DBN files and the list that describes them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process;

/// Name, schema and record count of each fixture; all use seed 7 and two instruments.
const FIXTURES: [(&str, &str, &str); 2] =
    [("small.mbp-10.dbn.zst", "mbp-10", "3000"), ("small.mbo.dbn.zst", "mbo", "3000")];

/// Regenerates `fixtures/` with `lob synth`; a test of `lob-cli` holds the files to this list.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`fixtures` takes no argument, found `{arg}`");
    }
    let lob = process::build_lob(&[])?;
    let folder = process::root().join("fixtures");
    let mut entries = Vec::new();
    for (name, schema, records) in FIXTURES {
        let path = folder.join(name);
        let settings = [
            "--records",
            records,
            "--instruments",
            "2",
            "--sessions",
            "1",
            "--seed",
            "7",
            "--schema",
            schema,
        ];
        process::must(Command::new(&lob).arg("synth").args(settings).arg("--out").arg(&path))?;
        let output = Command::new(&lob).args(["inspect", "--json"]).arg(&path).output()?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`lob inspect --json {}` printed no JSON", path.display()))?;
        entries.push(json!({
            "file": name,
            "sha256": report["sha256"],
            "bytes": std::fs::metadata(&path)?.len(),
            "records": report["records"],
            "licence": "MIT OR Apache-2.0 (synthetic, made by `cargo xtask fixtures`)",
            "generator": format!("lob synth {}", settings.join(" ")),
        }));
    }
    let mut text = serde_json::to_string_pretty(&json!({ "fixtures": entries }))?;
    text.push('\n');
    std::fs::write(folder.join("metadata.json"), text)?;
    println!("wrote {} fixtures to {}", FIXTURES.len(), folder.display());
    Ok(ExitCode::SUCCESS)
}
