//! What ran, what did not and why; kept in the target folder for the next launch.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What became of one check.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    Passed {
        seconds: f64,
    },
    Failed {
        seconds: f64,
    },
    /// Something it needs is missing.
    LeftOut {
        reason: String,
    },
    /// It would have gone past the budget.
    NoTime {
        expected_s: f64,
        left_s: f64,
    },
    /// An earlier one failed.
    NotReached,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    name: &'static str,
    fate: Fate,
}

/// What one launch leaves to the next.
#[derive(Debug, Default)]
struct Memory {
    /// Seconds that each check took when it last ran to its end.
    seconds: BTreeMap<String, f64>,
    left_out_for_time: Vec<String>,
}

impl Memory {
    /// What a file says; nothing where it says nothing that can be understood.
    fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let seconds = value["seconds"].as_object().into_iter().flatten();
        let left_out = value["left_out_for_time"].as_array().into_iter().flatten();
        Self {
            seconds: seconds.filter_map(|(name, s)| Some((name.clone(), s.as_f64()?))).collect(),
            left_out_for_time: left_out
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
        }
    }

    fn to_text(&self) -> String {
        let Self { seconds, left_out_for_time } = self;
        format!("{:#}\n", json!({ "seconds": seconds, "left_out_for_time": left_out_for_time }))
    }
}

/// The account of one launch.
#[derive(Debug, Default)]
pub(super) struct Account {
    memory: Memory,
    entries: Vec<Entry>,
}

impl Account {
    /// Begins with what the launch before left; without a file that can be read, with nothing.
    pub(super) fn open(memory: &Path) -> Self {
        let text = std::fs::read_to_string(memory).unwrap_or_default();
        Self { memory: Memory::read(&text), entries: Vec::new() }
    }

    pub(super) fn left_out_before(&self) -> &[String] {
        &self.memory.left_out_for_time
    }

    pub(super) fn expected_s(&self, name: &str) -> Option<f64> {
        self.memory.seconds.get(name).copied()
    }

    pub(super) fn add(&mut self, name: &'static str, fate: Fate) {
        self.entries.push(Entry { name, fate });
    }

    /// Writes what the next launch needs. A check that this launch did not get to at all still
    /// waits for its turn.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut memory = Memory { seconds: self.memory.seconds.clone(), ..Memory::default() };
        for Entry { name, fate } in &self.entries {
            let waited = self.memory.left_out_for_time.iter().any(|before| before == name);
            match fate {
                Fate::Passed { seconds } => {
                    memory.seconds.insert((*name).to_owned(), *seconds);
                }
                Fate::NoTime { .. } => memory.left_out_for_time.push((*name).to_owned()),
                Fate::LeftOut { .. } | Fate::NotReached if waited => {
                    memory.left_out_for_time.push((*name).to_owned());
                }
                _ => {}
            }
        }
        std::fs::write(path, memory.to_text())
            .with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// The closing table: one line a check, the tests that were skipped, and the sums.
    pub(super) fn table(&self, skipped: &[String], elapsed_s: f64) -> String {
        let width = self.entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
        let mut text = format!("{:width$}  {:>8}  result\n", "check", "seconds");
        let (mut n_ran, mut n_left_out, mut n_failed) = (0, 0, 0);
        for Entry { name, fate } in &self.entries {
            let (seconds, result) = match fate {
                Fate::Passed { seconds } => (Some(*seconds), "passed".to_owned()),
                Fate::Failed { seconds } => (Some(*seconds), "FAILED".to_owned()),
                Fate::LeftOut { reason } => (None, format!("left out: {reason}")),
                Fate::NoTime { expected_s, left_s } => (
                    None,
                    format!("left out for time: takes {expected_s:.0} s, {left_s:.0} s were left"),
                ),
                Fate::NotReached => (None, "left out: an earlier check failed".to_owned()),
            };
            match fate {
                Fate::Passed { .. } => n_ran += 1,
                Fate::Failed { .. } => n_failed += 1,
                _ => n_left_out += 1,
            }
            let seconds = seconds.map_or_else(|| "-".to_owned(), |s| format!("{s:.1}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:width$}  {seconds:>8}  {result}");
        }
        for line in skipped {
            let _ = writeln!(text, "{line}");
        }
        let failed = if n_failed > 0 { format!("{n_failed} FAILED, ") } else { String::new() };
        let n_skipped = skipped.len();
        let _ = write!(
            text,
            "check: {failed}{n_ran} passed, {n_left_out} left out, {n_skipped} tests skipped, in {elapsed_s:.0} s"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_did_not_run_has_not_passed() {
        let mut account = Account::default();
        account.add("format", Fate::Passed { seconds: 1.25 });
        account.add("licences", Fate::LeftOut { reason: "no cargo-deny".to_owned() });
        account.add("cluster", Fate::NoTime { expected_s: 900.0, left_s: 30.0 });
        let table = account.table(&["skipped: a.rs:3: no data".to_owned()], 40.0);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "format         1.2  passed");
        assert_eq!(lines[2], "licences         -  left out: no cargo-deny");
        assert!(lines[3].ends_with("left out for time: takes 900 s, 30 s were left"), "{table}");
        assert_eq!(lines[4], "skipped: a.rs:3: no data");
        assert_eq!(lines[5], "check: 1 passed, 2 left out, 1 tests skipped, in 40 s");
        account.add("tests", Fate::Failed { seconds: 2.0 });
        account.add("docs", Fate::NotReached);
        let table = account.table(&[], 40.0);
        assert!(table.contains("docs             -  left out: an earlier check failed"), "{table}");
        assert!(table.ends_with("check: 1 FAILED, 1 passed, 3 left out, 0 tests skipped, in 40 s"));
    }

    #[test]
    fn the_next_launch_knows_what_had_no_time_and_how_long_things_took() {
        let folder = std::env::temp_dir().join(format!("xtask-account-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let memory = folder.join("memory.json");
        let mut first = Account::open(&memory);
        assert!(first.left_out_before().is_empty());
        first.add("format", Fate::Passed { seconds: 1.5 });
        first.add("cluster", Fate::NoTime { expected_s: 900.0, left_s: 30.0 });
        first.save(&memory).unwrap();
        // Not got to: it still waits, and what took time is still known.
        let mut second = Account::open(&memory);
        assert_eq!(second.left_out_before(), ["cluster"]);
        assert_eq!(second.expected_s("format"), Some(1.5));
        second.add("cluster", Fate::NotReached);
        second.save(&memory).unwrap();
        let mut third = Account::open(&memory);
        assert_eq!(third.left_out_before(), ["cluster"]);
        third.add("cluster", Fate::Passed { seconds: 700.0 });
        third.save(&memory).unwrap();
        let fourth = Account::open(&memory);
        assert!(fourth.left_out_before().is_empty());
        assert_eq!(fourth.expected_s("cluster"), Some(700.0));
        std::fs::write(&memory, "no JSON").unwrap();
        assert!(Account::open(&memory).left_out_before().is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
