//! What a program allocated and did not give back, by line.

use std::fmt::Write as _;

use lob_metrics::{Finding, Severity, Unit};

use super::report::AllocSite;
use crate::{LeakReport, LeakVerdict};

/// Sites named among the findings though nothing accuses them, and the share of all that is held
/// that they need.
const NAMED: usize = 3;
const NAMED_SHARE: f64 = 0.1;

/// What tracking the allocator of a program found. Exact: every block counts, of every process of
/// the program that loads the C library.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeapProfile {
    /// Processes that were tracked; a child made by `fork` counts from there on.
    pub processes: u64,
    /// Bytes allocated in all.
    pub allocated_bytes: u64,
    /// Blocks allocated in all.
    pub allocated_blocks: u64,
    /// Bytes not given back when their process ended.
    pub held_bytes: u64,
    /// Blocks not given back.
    pub held_blocks: u64,
    /// Most bytes seen to live at once.
    pub peak_bytes: u64,
    /// Lines, those that hold most first.
    pub sites: Vec<HeapSite>,
    /// What was not found out, and why.
    pub notes: Vec<String>,
}

/// A line that allocates.
#[derive(Debug, Clone, PartialEq)]
pub struct HeapSite {
    /// Source file as the compiler saw it; `None` without debug information.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Function.
    pub function: String,
    /// Program or library the code is in.
    pub module: String,
    /// Bytes allocated there.
    pub allocated_bytes: u64,
    /// Blocks allocated there.
    pub allocated_blocks: u64,
    /// Bytes of it not given back when the process ended.
    pub held_bytes: u64,
    /// Blocks of it not given back.
    pub held_blocks: u64,
    /// Most bytes of it seen to live at once in one process.
    pub peak_bytes: u64,
    /// Whether what it holds grew to the end: of the process where it grew most.
    pub growth: LeakReport,
}

impl HeapSite {
    /// `FILE:LINE (FUNCTION)`, as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        let site = AllocSite {
            file: self.file.clone(),
            line: self.line,
            function: self.function.clone(),
            module: self.module.clone(),
            samples: 0,
            allocations: 0,
            bytes: 0,
            share: 0.0,
        };
        site.place()
    }

    /// Whether it holds ever more, to the end.
    #[must_use]
    pub fn leaks(&self) -> bool {
        self.growth.verdict == LeakVerdict::Leak && self.held_blocks > 0
    }
}

impl HeapProfile {
    /// A warning for each line that holds ever more to the end, and a word on what else is held.
    /// What is held may be in use or forgotten: that shows in no count.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let bytes = |value: u64| Unit::Bytes.format(value as f64);
        let mut findings = Vec::new();
        for site in self.sites.iter().filter(|site| site.leaks()) {
            let slope = site.growth.slope.unwrap_or_default();
            let text = format!(
                "leak of blocks from {}: grows to the end, {} per second; {} in {} of {} \
                 blocks were never freed",
                site.place(),
                Unit::Bytes.format(slope),
                bytes(site.held_bytes),
                site.held_blocks,
                site.allocated_blocks,
            );
            findings.push(Finding { severity: Severity::Warning, text });
        }
        let info = |text| Finding { severity: Severity::Info, text };
        findings.push(info(format!(
            "allocator of the C library: {} in {} blocks allocated, {} in {} blocks not freed at \
             the end, in use or forgotten; {} at most at once; {} {}",
            bytes(self.allocated_bytes),
            self.allocated_blocks,
            bytes(self.held_bytes),
            self.held_blocks,
            bytes(self.peak_bytes),
            self.processes,
            if self.processes == 1 { "process" } else { "processes" },
        )));
        // Whether a program forgets its memory or frees it all when it ends makes no difference
        // while it runs.
        let freed = |site: &&HeapSite| {
            site.growth.verdict == LeakVerdict::Leak
                && site.held_blocks == 0
                && site.peak_bytes as f64 >= NAMED_SHARE * self.peak_bytes as f64
        };
        findings.extend(self.sites.iter().filter(freed).take(NAMED).map(|site| {
            info(format!(
                "blocks from {} grew to the end, {} at most, and were freed there",
                site.place(),
                bytes(site.peak_bytes)
            ))
        }));
        let large = |site: &&HeapSite| {
            !site.leaks() && site.held_bytes as f64 >= NAMED_SHARE * self.held_bytes as f64
        };
        let held = self.sites.iter().filter(|site| site.held_bytes > 0).filter(large);
        findings.extend(held.take(NAMED).map(|site| {
            let grew = match site.growth.verdict {
                LeakVerdict::LevelsOff => "grew, levelling off",
                LeakVerdict::Inconclusive => "too short a time to tell whether it grows",
                _ => "does not grow to the end",
            };
            info(format!(
                "not freed at the end: {} in {} blocks from {} ({grew})",
                bytes(site.held_bytes),
                site.held_blocks,
                site.place(),
            ))
        }));
        findings.extend(self.notes.iter().cloned().map(info));
        findings
    }

    /// The sites as a table: comma-separated values with a line of names.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out = "file,line,function,module,held_bytes,held_blocks,allocated_bytes,\
                       allocated_blocks,peak_bytes,grows,growth_bytes_per_s\n"
            .to_owned();
        let text = |text: &str| {
            format!("\"{}\"", lob_metrics::shown(text).to_string().replace('"', "\"\""))
        };
        for site in &self.sites {
            let grows = match site.growth.verdict {
                LeakVerdict::Leak => "to_the_end",
                LeakVerdict::LevelsOff => "levels_off",
                LeakVerdict::Inconclusive => "",
                _ => "no",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{grows},{}",
                site.file.as_deref().map(text).unwrap_or_default(),
                site.line.map(|line| line.to_string()).unwrap_or_default(),
                text(&site.function),
                text(&site.module),
                site.held_bytes,
                site.held_blocks,
                site.allocated_bytes,
                site.allocated_blocks,
                site.peak_bytes,
                site.growth.slope.map(|slope| format!("{slope:.0}")).unwrap_or_default(),
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LeakConfig, leak_report};

    fn site(function: &str, held: u64, growing: bool) -> HeapSite {
        let x: Vec<f64> = (0..100).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| if growing { 1e4 * x } else { 1e6 }).collect();
        HeapSite {
            file: Some("a \"b\".c".to_owned()),
            line: Some(7),
            function: function.to_owned(),
            module: "app".to_owned(),
            allocated_bytes: 2 * held,
            allocated_blocks: 2 * (held / 100),
            held_bytes: held,
            held_blocks: held / 100,
            peak_bytes: 3 * held,
            growth: leak_report(&x, &y, LeakConfig { floor_bytes: 1e4, floor_share: 0.0 }),
        }
    }

    #[test]
    fn only_what_grows_to_the_end_is_accused() {
        let profile = HeapProfile {
            processes: 1,
            held_bytes: 1_000_000,
            sites: vec![site("cache", 900_000, false), site("leak", 100_000, true)],
            notes: vec!["something was not seen".to_owned()],
            ..HeapProfile::default()
        };
        let found = profile.findings();
        let warnings: Vec<_> = found.iter().filter(|f| f.severity == Severity::Warning).collect();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].text.contains("a \"b\".c:7 (leak)"), "{}", warnings[0].text);
        assert!(warnings[0].text.contains("in 1000 of 2000 blocks"), "{}", warnings[0].text);
        let cache = found.iter().find(|f| f.text.contains("(cache)")).unwrap();
        assert!(cache.text.contains("does not grow"), "{}", cache.text);
        assert!(found.iter().any(|f| f.text == "something was not seen"));
        // Given back at last, it is no leak.
        assert!(!site("late", 0, true).leaks());
    }

    #[test]
    fn the_table_has_a_line_for_each_site() {
        let profile =
            HeapProfile { sites: vec![site("f(a, b)", 500, true)], ..HeapProfile::default() };
        let text = profile.csv();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "\"a \"\"b\"\".c\",7,\"f(a, b)\",\"app\",500,5,1000,10,1500,to_the_end,10000"
        );
    }
}
