//! What the tasks that pack a build are asked for: `bundle` and `dist`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process;

pub(crate) struct Settings {
    pub(crate) features: Vec<String>,
    pub(crate) out: Option<PathBuf>,
    /// A finished build to pack instead of building.
    binary: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn parse(task: &str, args: &[String]) -> Result<Self> {
        let mut settings = Self { features: Vec::new(), out: None, binary: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--features" => settings.features.push(value()?.clone()),
                "--out" => settings.out = Some(PathBuf::from(value()?)),
                "--binary" => settings.binary = Some(PathBuf::from(value()?)),
                other => bail!(
                    "unknown option `{other}`\nhint: `{task}` takes --features, --out and --binary"
                ),
            }
        }
        Ok(settings)
    }

    /// The build to pack: the one given, or a new one.
    pub(crate) fn lob(&self) -> Result<PathBuf> {
        match &self.binary {
            Some(binary) => Ok(binary.clone()),
            None => process::build_lob(&self.features),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed setup must stop the test")]

    use super::*;

    #[test]
    fn options_are_read() {
        let args = |list: &[&str]| -> Vec<String> { list.iter().map(|a| (*a).into()).collect() };
        let settings =
            Settings::parse("bundle", &args(&["--features", "cuda", "--out", "x"])).unwrap();
        assert_eq!(settings.features, ["cuda"]);
        assert_eq!(settings.out, Some(PathBuf::from("x")));
        assert!(Settings::parse("bundle", &args(&["--out"])).is_err());
        assert!(Settings::parse("bundle", &args(&["--nonsense"])).is_err());
    }
}
