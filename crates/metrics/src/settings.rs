//! The version of settings files.

use serde::{Deserialize, Deserializer, de::Error};

/// Version of the settings files this program reads: of conversions, trainings, the profiler and
/// targets. Raised when a key changes its meaning; a new key alone does not raise it.
pub const SETTINGS_VERSION: u32 = 1;

/// The key `version` of a settings file. A file without it is of version 1; one of another version
/// is refused, as its keys may mean something else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingsVersion;

impl SettingsVersion {
    /// Accepts the version this program reads.
    ///
    /// # Errors
    /// What was found and what is read, for any other.
    pub fn check(found: i64) -> Result<Self, String> {
        if found == i64::from(SETTINGS_VERSION) {
            return Ok(Self);
        }
        Err(format!(
            "settings of version `{found}`, this program reads version `{SETTINGS_VERSION}`; see docs/FORMATS.md"
        ))
    }
}

impl<'de> Deserialize<'de> for SettingsVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::check(i64::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_with_both() {
        assert_eq!(serde_json::from_str::<SettingsVersion>("1").unwrap(), SettingsVersion);
        for other in ["0", "2", "-1"] {
            let error = serde_json::from_str::<SettingsVersion>(other).unwrap_err().to_string();
            assert!(error.contains(&format!("`{other}`")) && error.contains("`1`"), "{error}");
        }
        assert!(serde_json::from_str::<SettingsVersion>("\"1\"").is_err());
    }
}
