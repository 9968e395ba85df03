//! Settings by the name of a currency pair.

use lob_depth::LabelSpec;

use crate::ConvertError;

/// Settings that suit a currency pair. Values given explicitly win over these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Name of the pair.
    pub name: &'static str,
    /// Price step in 1e-9 price units.
    pub price_step: i64,
    /// Label windows and classes.
    pub label: LabelSpec,
}

impl Preset {
    /// The pairs known.
    pub const NAMES: [&'static str; 5] = ["AUDUSD", "EURUSD", "GBPUSD", "USDJPY", "EURJPY"];

    /// The preset of a pair, in any case of letters.
    ///
    /// # Errors
    /// [`ConvertError::Config`] for a pair that is not known.
    pub fn find(name: &str) -> Result<Self, ConvertError> {
        let known = Self::NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let Some(name) = known else {
            return Err(ConvertError::Config {
                setting: "preset",
                found: name.to_owned(),
                expected: Self::NAMES.join(", "),
            });
        };
        let label = LabelSpec::default();
        Ok(match name {
            "USDJPY" | "EURJPY" => {
                Self { name, price_step: 1_000_000, label: LabelSpec { classes: 9, ..label } }
            }
            "GBPUSD" => {
                Self { name, price_step: 10_000, label: LabelSpec { lookforward: 3_000, ..label } }
            }
            _ => Self { name, price_step: 10_000, label },
        })
    }
}
