//! How many names a library shows to whoever opens its documentation.

use std::path::Path;

use anyhow::{Context, Result};

/// Libraries whose root may export so many names at most. More is two libraries in one.
const LIMITS: [(&str, usize); 3] =
    [("crates/profiler", 90), ("crates/scope", 60), ("crates/watch", 50)];

/// Libraries that export more names than they may.
pub(super) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (folder, most) in LIMITS {
        let path = root.join(folder).join("src/lib.rs");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        found.extend(check(folder, &text, most));
    }
    Ok(found)
}

fn check(folder: &str, text: &str, most: usize) -> Option<String> {
    match names(text) {
        None => Some(format!("{folder}/src/lib.rs re-exports by `*`: name what it exports")),
        Some(n) if n > most => Some(format!(
            "{folder}/src/lib.rs exports {n} names, at most {most} are allowed: take one back, or \
             move what belongs together to a crate of its own"
        )),
        Some(_) => None,
    }
}

/// Names that the root of a library makes public; `None` for an export by `*`, which hides them.
fn names(text: &str) -> Option<usize> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join(" ");
    let items = code.split("pub ").skip(1);
    let mut n = 0;
    for item in items {
        let Some(path) = item.trim_start().strip_prefix("use ") else {
            n += 1;
            continue;
        };
        let path = path.split(';').next().unwrap_or("");
        if path.contains('*') {
            return None;
        }
        n += path.split(['{', ',']).filter(|part| is_name(part)).count();
    }
    Some(n)
}

/// Whether a piece between commas and braces is a name: not the path before a brace, nor nothing
/// after a last comma.
fn is_name(part: &str) -> bool {
    let part = part.trim().trim_end_matches(['}', ' ']);
    !part.is_empty() && !part.ends_with("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_name_of_the_root_is_counted_once() {
        for (text, expected) in [
            ("mod a;\nuse b::c;\n", Some(0)),
            ("pub use lob_scope;\npub use a::b;\n", Some(2)),
            ("pub use a::{\n    B, C, // two\n    d,\n};\n//! pub use x::y;\n", Some(3)),
            ("pub use a::{b::{C, D}, e};\n", Some(3)),
            ("pub mod procfs;\npub fn f() {}\n", Some(2)),
            ("pub use a::*;\n", None),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn too_many_names_and_a_star_are_violations() {
        let two = "pub use a::{B, C};\n";
        assert!(check("crates/x", two, 2).is_none());
        assert!(check("crates/x", two, 1).unwrap().contains("exports 2 names, at most 1"));
        assert!(check("crates/x", "pub use a::*;", 9).unwrap().contains("by `*`"));
    }
}
