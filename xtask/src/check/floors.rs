//! The floors of `benches/targets.toml`, held by a release build: an unoptimised one says nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Ran;
use crate::process;

/// Launches before a floor counts as missed: what else runs on the machine slows one of them, but
/// makes none faster.
const TRIES: usize = 3;

/// Builds `lob` and runs the quick suite strictly until every floor has held once.
pub(super) fn check() -> Result<Ran> {
    let lob = process::build_lob(&[])?;
    let out = process::target_folder()?.join("xtask-floors");
    let mut open: Option<BTreeSet<String>> = None;
    for _ in 0..TRIES {
        let mut bench = Command::new(&lob);
        bench.args(["bench", "--quick", "--strict", "--quiet", "--out"]).arg(&out);
        let status = process::status(bench.stdout(Stdio::null()))?;
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("`lob bench --quick --strict` failed: {status}; see {}", out.display());
        }
        let missed = missed(&read(&out.join("run.json"))?);
        let still: BTreeSet<String> = match open {
            Some(before) => before.intersection(&missed).cloned().collect(),
            None => missed,
        };
        if still.is_empty() {
            return Ok(Ran::Passed);
        }
        eprintln!("    missed so far: {}", still.iter().cloned().collect::<Vec<_>>().join(", "));
        open = Some(still);
    }
    bail!("targets or floors missed in all of {TRIES} launches; see {}", out.display());
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is no JSON", path.display()))
}

/// The metrics of a Run that miss their limit or floor.
fn missed(run: &Value) -> BTreeSet<String> {
    let targets = run["targets"].as_array().into_iter().flatten();
    targets
        .filter(|target| target["verdict"] == "fail" || target["floor_held"] == false)
        .filter_map(|target| target["metric"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_floors_that_are_missed_are_named() {
        let run = serde_json::json!({"targets": [
            {"metric": "a", "verdict": "pass", "floor_held": true},
            {"metric": "b", "verdict": "pass", "floor_held": false},
            {"metric": "c", "verdict": "fail"},
            {"metric": "d", "verdict": "not_measured"},
        ]});
        let found: Vec<String> = missed(&run).into_iter().collect();
        assert_eq!(found, ["b", "c"]);
        assert!(missed(&Value::Null).is_empty());
    }
}
