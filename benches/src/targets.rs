//! The targets file: hard limits and goals per metric.

use lob_metrics::Target;
use serde::Deserialize;

/// The seeds' figures; edit the file, not the code.
const DEFAULT_TARGETS: &str = include_str!("../targets.toml");

#[derive(Deserialize)]
struct File {
    target: Vec<Target>,
}

/// The targets built into the tool.
///
/// # Errors
/// `targets.toml` is not valid; a test keeps it valid.
pub fn default_targets() -> Result<Vec<Target>, toml::de::Error> {
    Ok(toml::from_str::<File>(DEFAULT_TARGETS)?.target)
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
