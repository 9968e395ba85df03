//! `--price-step`: for all instruments, or for one.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Result, bail};
use lob_convert::{ConvertError, PriceStepChoice};

/// One value of the flag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StepArg {
    /// `auto` or `X`.
    All(PriceStepChoice),
    /// `SYMBOL=X`; in 1e-9 price units.
    Of(String, i64),
}

impl FromStr for StepArg {
    type Err = ConvertError;

    fn from_str(text: &str) -> Result<Self, ConvertError> {
        // No price holds a sign of equality, but a symbol may.
        let Some((name, step)) = text.rsplit_once('=') else { return Ok(Self::All(text.parse()?)) };
        match step.parse() {
            Ok(PriceStepChoice::Fixed(step)) if !name.is_empty() => {
                Ok(Self::Of(name.to_owned(), step))
            }
            _ => Err(ConvertError::Config {
                setting: "price-step",
                found: text.to_owned(),
                expected: "`SYMBOL=X` with a decimal price such as `ZTM4=0.00390625`".to_owned(),
            }),
        }
    }
}

/// The step for all instruments, if one is given, and those of single ones.
pub(super) fn parts(args: &[StepArg]) -> Result<(Option<PriceStepChoice>, BTreeMap<String, i64>)> {
    let (mut all, mut single) = (None, BTreeMap::new());
    for arg in args {
        let is_again = match arg {
            StepArg::All(choice) => all.replace(*choice).is_some(),
            StepArg::Of(name, step) => single.insert(name.clone(), *step).is_some(),
        };
        if is_again {
            bail!(
                "`--price-step` is given twice for {}\nhint: once for all, and once for each SYMBOL=X",
                match arg {
                    StepArg::All(_) => "all instruments",
                    StepArg::Of(name, _) => name,
                }
            );
        }
    }
    Ok((all, single))
}

/// The flags, and what they leave open of the file's.
pub(super) fn merged(flags: Vec<StepArg>, file: Vec<StepArg>) -> Vec<StepArg> {
    let is_same = |a: &StepArg, b: &StepArg| match (a, b) {
        (StepArg::All(_), StepArg::All(_)) => true,
        (StepArg::Of(a, _), StepArg::Of(b, _)) => a == b,
        _ => false,
    };
    let open = file.into_iter().filter(|arg| !flags.iter().any(|flag| is_same(flag, arg)));
    let open: Vec<_> = open.collect();
    [flags, open].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(texts: &[&str]) -> Vec<StepArg> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn for_all_and_for_one() {
        let (all, single) = parts(&args(&["0.25", "ZTM4=0.00390625", "A=B=1"])).unwrap();
        assert_eq!(all, Some(PriceStepChoice::Fixed(250_000_000)));
        let expected = [("A=B", 1_000_000_000), ("ZTM4", 3_906_250)];
        assert_eq!(single, expected.map(|(name, step)| (name.to_owned(), step)).into());
        assert!(parts(&args(&["0.25", "auto"])).is_err());
        assert!(parts(&args(&["A=1", "A=2"])).is_err());
        for bad in ["", "=1", "A=", "A=auto", "A=-1", "A=0", "A=x", "-1"] {
            assert!(bad.parse::<StepArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_win_one_by_one() {
        let found = merged(args(&["A=1", "auto"]), args(&["0.5", "A=2", "B=3"]));
        assert_eq!(found, args(&["A=1", "auto", "B=3"]));
    }
}
