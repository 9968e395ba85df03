//! The targets file: hard limits, floors and goals per metric.

#[cfg(test)]
mod page;

use std::path::Path;

use anyhow::{Context, Result, bail};
use lob_metrics::{SettingsVersion, Target, shown};
use serde::Deserialize;

/// The seeds' figures; edit the file, not the code.
const DEFAULT_TARGETS: &str = include_str!("../targets.toml");

/// What a target may say.
const KEYS: [&str; 8] =
    ["metric", "unit", "direction", "hard_limit", "goal", "floor", "required", "source"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    #[expect(dead_code, reason = "reading it is the check")]
    version: SettingsVersion,
    target: Vec<Target>,
}

/// The targets built into the tool.
///
/// # Errors
/// `targets.toml` is not valid; a test keeps it valid.
pub fn default_targets() -> Result<Vec<Target>> {
    parse(DEFAULT_TARGETS).context("the targets built in")
}

/// The targets of a file in the layout of `benches/targets.toml`.
///
/// # Errors
/// The file cannot be read or is no targets file; the message names the line.
pub fn read_targets(path: &Path) -> Result<Vec<Target>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}`", shown(path.display())))?;
    parse(&text).with_context(|| {
        format!("`{}` is no targets file\nhint: benches/targets.toml is one", shown(path.display()))
    })
}

fn parse(text: &str) -> Result<Vec<Target>> {
    let file: File = toml::from_str(text)?;
    // A misspelt limit must not be a target that asks nothing. (`Target` takes what it does not know:
    // a newer program may have written it into a Run.)
    let tables: toml::Table = text.parse()?;
    for (i, table) in tables["target"].as_array().into_iter().flatten().enumerate() {
        let unknown = |key: &&String| !KEYS.contains(&key.as_str());
        if let Some(key) = table.as_table().and_then(|table| table.keys().find(unknown)) {
            bail!("target {}: unknown key `{key}`, expected one of {}", i + 1, KEYS.join(", "));
        }
    }
    for target in &file.target {
        if let Some(floor) = target.floor.filter(|floor| !floor.fits(target.unit)) {
            bail!(
                "`{}`: the floor {floor:?} does not fit the unit `{}`; only times and rates have a ratio to the reference",
                target.metric,
                target.unit
            );
        }
    }
    Ok(file.target)
}

#[cfg(test)]
mod tests {
    use lob_metrics::{Direction, Floor};

    use super::*;

    #[test]
    fn floors_are_read_and_what_cannot_be_meant_is_refused_by_name() {
        let text = |more: &str| {
            format!(
                "[[target]]\nmetric = \"m\"\nunit = \"s\"\ndirection = \"lower_is_better\"\n{more}\n"
            )
        };
        let floor = |more: &str| parse(&text(more)).map(|targets| targets[0].floor);
        assert_eq!(floor("").unwrap(), None);
        let reference = floor("floor = { reference = 4.5 }").unwrap();
        assert_eq!(reference, Some(Floor::Reference(4.5)));
        assert_eq!(floor("floor = { value = 0.1 }").unwrap(), Some(Floor::Value(0.1)));
        for (wrong, said) in [
            ("hardlimit = 1.0", "`hardlimit`"),
            ("floor = { reference = 0.0 }", "`m`"),
            ("floor = { reference = nan }", "`m`"),
            ("floor = { roof = 1.0 }", "`roof`"),
            ("floor = 1.0", "floor"),
        ] {
            let error = format!("{:#}", floor(wrong).unwrap_err());
            assert!(error.contains(said), "{wrong}: {error}");
        }
        let bytes = text("floor = { reference = 1.0 }").replace("\"s\"", "\"B\"");
        assert!(format!("{:#}", parse(&bytes).unwrap_err()).contains("`B`"));
    }

    /// A limit a thousand times off notices nothing: what the quick suite measures of speed has a
    /// floor too.
    #[test]
    fn every_speed_with_a_limit_has_a_floor() {
        let speed = |t: &&Target| Floor::Reference(1.0).fits(t.unit) && t.hard_limit.is_some();
        let targets = default_targets().unwrap();
        let without: Vec<&str> = targets
            .iter()
            .filter(speed)
            .filter(|t| t.floor.is_none())
            .map(|t| t.metric.as_str())
            .collect();
        assert!(without.is_empty(), "no floor: {without:?}");
    }

    #[test]
    fn the_file_is_valid_and_goals_are_not_weaker_than_limits() {
        let targets = default_targets().unwrap();
        assert!(targets.len() >= 10);
        for t in &targets {
            assert!(t.hard_limit.is_some() || t.goal.is_some(), "{} asks nothing", t.metric);
            assert!(!t.source.is_empty(), "{} has no source", t.metric);
            assert!(t.floor.is_none_or(|floor| floor.fits(t.unit)), "{}", t.metric);
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
