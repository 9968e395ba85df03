//! The crate graph: which crate may name which.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

/// Every workspace package and the internal packages it may depend on: the map of
/// docs/ARCHITECTURE.md. A new edge is a decision; write it down there when you add it here.
const ALLOWED: [(&str, &[&str]); 20] = [
    ("lob-metrics", &[]),
    ("lob-depth", &[]),
    ("lob-book", &[]),
    ("lob-signals", &[]),
    ("lob-ranks", &[]),
    ("xtask", &[]),
    ("lob-scope", &[]),
    ("lob-profiler", &["lob-metrics", "lob-scope"]),
    ("lob-watch", &["lob-metrics", "lob-profiler", "lob-scope"]),
    ("lob-report", &["lob-metrics"]),
    ("lob-runs", &["lob-metrics", "lob-profiler", "lob-report", "lob-store"]),
    ("lob-synth", &["lob-book", "lob-metrics"]),
    ("lob-store", &["lob-depth", "lob-metrics"]),
    ("lob-convert", &["lob-book", "lob-depth", "lob-metrics", "lob-scope", "lob-store"]),
    ("lob-fixtures", &["lob-depth", "lob-metrics", "lob-store"]),
    ("lob-simulate", &["lob-convert", "lob-depth", "lob-metrics", "lob-store", "lob-synth"]),
    ("lob-dataloader", &["lob-depth", "lob-metrics", "lob-scope", "lob-store"]),
    (
        "lob-contrastive",
        &[
            "lob-dataloader",
            "lob-depth",
            "lob-metrics",
            "lob-ranks",
            "lob-scope",
            "lob-signals",
            "lob-store",
        ],
    ),
    ("lob-bench", &["*"]),
    ("lob-cli", &["*"]),
];

/// Crates for tests alone: nothing that is shipped contains them.
const FOR_TESTS: [&str; 2] = ["lob-fixtures", "lob-simulate"];

/// Outside libraries with one home each.
const HOMES: [(&str, &[&str]); 4] = [
    ("burn", &["lob-contrastive", "lob-signals"]),
    ("parquet", &["lob-store"]),
    ("dbn", &["lob-book", "lob-synth", "lob-convert", "lob-fixtures"]),
    ("plotters", &["lob-report"]),
];

/// The library that a crate is a part of: `burn-tensor` is a part of `burn`.
fn family(library: &str) -> &str {
    if library.starts_with("burn-") { "burn" } else { library }
}

/// One dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    to: String,
    optional: bool,
}

/// The workspace's packages and what each names outside its tests.
#[derive(Debug, Default)]
pub(super) struct Graph {
    edges: BTreeMap<String, BTreeSet<Edge>>,
}

impl Graph {
    /// Reads the output of `cargo metadata --no-deps`.
    pub(super) fn from_metadata(metadata: &Value) -> Result<Self> {
        let mut graph = Self::default();
        for package in metadata["packages"].as_array().context("no `packages` in the metadata")? {
            let name = package["name"].as_str().context("a package without a name")?;
            let edges = graph.edges.entry(name.to_owned()).or_default();
            for dependency in package["dependencies"].as_array().into_iter().flatten() {
                if dependency["kind"] == "dev" {
                    continue;
                }
                let to = dependency["name"].as_str().context("a dependency without a name")?;
                let optional = dependency["optional"].as_bool().unwrap_or(false);
                edges.insert(Edge { to: to.to_owned(), optional });
            }
        }
        Ok(graph)
    }

    /// Everything that breaks the map, one line each.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (name, edges) in &self.edges {
            let Some((_, allowed)) = ALLOWED.iter().find(|(package, _)| package == name) else {
                found
                    .push(format!("package `{name}` is not on the map in xtask/src/tidy/graph.rs"));
                continue;
            };
            for edge in edges {
                let internal = self.edges.contains_key(&edge.to);
                if internal && !allowed.contains(&"*") && !allowed.contains(&edge.to.as_str()) {
                    found.push(format!("`{name}` must not depend on `{}`", edge.to));
                }
                if name == "lob-depth" && !internal {
                    found
                        .push(format!("`lob-depth` names no outside library, found `{}`", edge.to));
                }
                if FOR_TESTS.contains(&edge.to.as_str()) {
                    found.push(format!("`{name}` must not depend on `{}` but in tests", edge.to));
                }
                let home = HOMES.iter().find(|(library, _)| *library == family(&edge.to));
                if home.is_some_and(|(_, homes)| !homes.contains(&name.as_str())) {
                    found.push(format!("`{}` has its home elsewhere, found in `{name}`", edge.to));
                }
                if family(&edge.to) == "burn" && name != "lob-contrastive" && !edge.optional {
                    found.push(format!("`{}` in `{name}` must be optional", edge.to));
                }
            }
        }
        if self.reaches("lob-report", "lob-profiler") {
            found.push("`lob-report` reaches `lob-profiler`: it must render any Run".to_owned());
        }
        found.extend(self.circle().map(|name| format!("`{name}` is part of a circle")));
        found
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            for edge in self.edges.get(name).into_iter().flatten() {
                if edge.to == to {
                    return true;
                }
                if seen.insert(edge.to.as_str()) {
                    open.push(&edge.to);
                }
            }
        }
        false
    }

    fn circle(&self) -> Option<&str> {
        self.edges.keys().map(String::as_str).find(|name| self.reaches(name, name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(packages: &[(&str, &[(&str, &str)])], expected: &[&str]) {
        let packages: Vec<Value> = packages
            .iter()
            .map(|(name, deps)| {
                let deps: Vec<Value> = deps
                    .iter()
                    .map(|(dep, kind)| json!({"name": dep, "kind": kind, "optional": false}))
                    .collect();
                json!({"name": name, "dependencies": deps})
            })
            .collect();
        let graph = Graph::from_metadata(&json!({ "packages": packages })).unwrap();
        let found = graph.violations();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for part in expected {
            assert!(found.iter().any(|line| line.contains(part)), "{part} not in {found:?}");
        }
    }

    #[test]
    fn names_each_broken_rule() {
        check(&[("lob-depth", &[]), ("lob-store", &[("lob-depth", ""), ("parquet", "")])], &[]);
        check(&[("lob-depth", &[("serde", "")])], &["names no outside library"]);
        check(&[("lob-depth", &[("dbn", "dev")])], &[]);
        check(&[("lob-convert", &[("parquet", "")])], &["home elsewhere"]);
        check(&[("lob-signals", &[("burn-tensor", "")])], &["must be optional"]);
        check(&[("lob-new", &[])], &["not on the map"]);
        check(
            &[("lob-report", &[("lob-profiler", "")]), ("lob-profiler", &[])],
            &["must not depend", "reaches"],
        );
        check(&[("lob-cli", &[("lob-bench", "")]), ("lob-bench", &[("lob-cli", "")])], &["circle"]);
    }
}
