//! The targets file: hard limits and goals per metric.

#[cfg(test)]
mod page;

use std::path::Path;

use anyhow::{Context, Result};
use lob_metrics::Target;
use serde::Deserialize;

/// The seeds' figures; edit the file, not the code.
const DEFAULT_TARGETS: &str = include_str!("../targets.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Vec<Target>,
}

/// The targets built into the tool.
///
/// # Errors
/// `targets.toml` is not valid; a test keeps it valid.
pub fn default_targets() -> std::result::Result<Vec<Target>, toml::de::Error> {
    Ok(toml::from_str::<File>(DEFAULT_TARGETS)?.target)
}

/// The targets of a file in the layout of `benches/targets.toml`.
///
/// # Errors
/// The file cannot be read or is no targets file; the message names the line.
pub fn read_targets(path: &Path) -> Result<Vec<Target>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| {
        format!("`{}` is no targets file\nhint: benches/targets.toml is one", path.display())
    })?;
    Ok(file.target)
}

#[cfg(test)]
mod tests {
    use lob_metrics::Direction;

    use super::*;

    #[test]
    fn the_file_is_valid_and_goals_are_not_weaker_than_limits() {
        let targets = default_targets().unwrap();
        assert!(targets.len() >= 10);
        for t in &targets {
            assert!(t.hard_limit.is_some() || t.goal.is_some(), "{} asks nothing", t.metric);
            assert!(!t.source.is_empty(), "{} has no source", t.metric);
            if let (Some(limit), Some(goal)) = (t.hard_limit, t.goal) {
                match t.direction {
                    Direction::HigherIsBetter => assert!(goal >= limit, "{}", t.metric),
                    Direction::LowerIsBetter => assert!(goal <= limit, "{}", t.metric),
                    Direction::Neutral => panic!("{} has no better side", t.metric),
                }
            }
        }
    }
}
