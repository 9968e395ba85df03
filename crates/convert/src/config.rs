//! Settings of a conversion.

use std::{path::PathBuf, str::FromStr};

use lob_depth::{BinRule, LabelSpec, PriceStep, SizeAggregate};
use lob_store::{TickOptions, WriterOptions};
use sha2::{Digest, Sha256};

use crate::{ConvertError, day::DAY_NS};

/// Where the price step of an instrument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PriceStepChoice {
    /// The greatest common divisor of the first prices of each instrument.
    #[default]
    Auto,
    /// This many 1e-9 price units for every instrument.
    Fixed(i64),
}

impl FromStr for PriceStepChoice {
    type Err = ConvertError;

    /// `auto`, or a decimal price such as `0.25`.
    fn from_str(text: &str) -> Result<Self, ConvertError> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let step: PriceStep = text.parse().map_err(|_| ConvertError::Config {
            setting: "price-step",
            found: text.to_owned(),
            expected: "`auto` or a decimal price such as `0.25`".to_owned(),
        })?;
        Ok(Self::Fixed(step.get()))
    }
}

/// Where class edges come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassEdges {
    /// Quantiles of the first half of the movements, for each instrument of each input.
    #[default]
    Fit,
    /// These ascending inner edges, one fewer than classes: those of another store, say.
    Fixed(Vec<f64>),
    /// Ascending multiples of the volatility, one fewer than classes: of the standard deviation of
    /// the first half of the movements, for each instrument of each input.
    Volatility(Vec<f64>),
}

/// What a row of the store's files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A tick bin, for training.
    #[default]
    Bins,
    /// A book update with every field of its record, for tables elsewhere.
    Ticks,
}

impl FromStr for Layout {
    type Err = ConvertError;

    fn from_str(text: &str) -> Result<Self, ConvertError> {
        match text {
            "bins" => Ok(Self::Bins),
            "ticks" => Ok(Self::Ticks),
            _ => Err(ConvertError::Config {
                setting: "layout",
                found: text.to_owned(),
                expected: "`bins` or `ticks`".to_owned(),
            }),
        }
    }
}

/// One of `count` equal shares of the inputs: those at `index`, `index + count`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which share, from 0.
    pub index: usize,
    /// Number of shares.
    pub count: usize,
}

impl FromStr for Shard {
    type Err = ConvertError;

    /// `I/N` with I from 0 to N - 1.
    fn from_str(text: &str) -> Result<Self, ConvertError> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        parsed.filter(|shard| shard.index < shard.count).ok_or_else(|| ConvertError::Config {
            setting: "shard",
            found: text.to_owned(),
            expected: "`I/N` with I from 0 to N - 1".to_owned(),
        })
    }
}

/// Settings of a conversion. [`ConvertConfig::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertConfig {
    /// Folder of the store.
    pub out: PathBuf,
    /// What a row is. The settings of bins have no meaning for [`Layout::Ticks`].
    pub layout: Layout,
    /// When a bin ends.
    pub bin_rule: BinRule,
    /// How sizes inside a bin become one number.
    pub size_aggregate: SizeAggregate,
    /// Price step of the bins.
    pub price_step: PriceStepChoice,
    /// Windows and number of classes of the labels.
    pub label: LabelSpec,
    /// Edges of the classes.
    pub class_edges: ClassEdges,
    /// Symbols to convert; empty for all.
    pub symbols: Vec<String>,
    /// Instruments to convert; empty for all. With symbols given, either may match.
    pub instrument_ids: Vec<u32>,
    /// A pause of an instrument longer than this ends its segment, in nanoseconds. No bin, window
    /// or label reaches across. The default of 30 minutes is shorter than the daily breaks of
    /// exchanges and longer than lulls of a live market; `u64::MAX` switches it off.
    pub gap_ns: u64,
    /// Start of a partition's day after midnight UTC, in nanoseconds below one day. The default 0
    /// matches the daily files of the vendor; 22 h makes a day of a CME session.
    pub day_start_ns: u64,
    /// Inputs converted at the same time.
    pub jobs: usize,
    /// The part of the inputs to convert.
    pub shard: Option<Shard>,
    /// Whether inputs that an earlier run finished are taken over instead of converted again.
    pub resume: bool,
    /// Whether the others are converted when an input fails.
    pub keep_going: bool,
    /// Whether the SHA-256 of each input is computed. Resuming needs it.
    pub hash_inputs: bool,
    /// Pages of files of bins.
    pub writer: WriterOptions,
    /// Pages of files of ticks.
    pub tick_writer: TickOptions,
}

impl ConvertConfig {
    /// The defaults: bins of 100 updates with median sizes, detected price steps, labels of
    /// [`LabelSpec::default`], every instrument, one job.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            layout: Layout::default(),
            bin_rule: BinRule::default(),
            size_aggregate: SizeAggregate::default(),
            price_step: PriceStepChoice::default(),
            label: LabelSpec::default(),
            class_edges: ClassEdges::default(),
            symbols: Vec::new(),
            instrument_ids: Vec::new(),
            gap_ns: 30 * 60 * 1_000_000_000,
            day_start_ns: 0,
            jobs: 1,
            shard: None,
            resume: false,
            keep_going: false,
            hash_inputs: true,
            writer: WriterOptions::default(),
            tick_writer: TickOptions::default(),
        }
    }

    /// Checks every setting.
    pub(crate) fn validate(&self) -> Result<(), ConvertError> {
        let refuse = |setting, found: String, expected: &str| {
            Err(ConvertError::Config { setting, found, expected: expected.to_owned() })
        };
        if let Err(error) = self.bin_rule.validate() {
            return refuse("bin-by", self.bin_rule.to_string(), &error.to_string());
        }
        if let Err(error) = self.label.validate() {
            return refuse("label", format!("{:?}", self.label), &error.to_string());
        }
        if let PriceStepChoice::Fixed(step) = self.price_step
            && step <= 0
        {
            return refuse("price-step", format!("{step}e-9"), "more than 0");
        }
        if self.day_start_ns >= DAY_NS {
            return refuse("day-start", self.day_start_ns.to_string(), "less than 24 h");
        }
        if self.jobs == 0 {
            return refuse("jobs", "0".to_owned(), "at least 1");
        }
        if self.resume && !self.hash_inputs {
            return refuse("resume", "no input hashes".to_owned(), "hash_inputs = true");
        }
        if let ClassEdges::Fixed(edges) | ClassEdges::Volatility(edges) = &self.class_edges {
            let is_ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
            if edges.len() + 1 != self.label.classes as usize || !is_ascending {
                let expected = format!("{} ascending numbers", self.label.classes - 1);
                return refuse("class-edges", format!("{edges:?}"), &expected);
            }
        }
        Ok(())
    }

    /// What decides the content of a store, as text: stores of different settings do not mix.
    pub(crate) fn fingerprint(&self) -> String {
        let text = format!(
            "store {} layout {:?} bins {} sizes {} step {:?} label {:?} edges {:?} symbols {:?} ids {:?} gap {} day {}",
            lob_store::FORMAT_VERSION,
            self.layout,
            self.bin_rule,
            self.size_aggregate,
            self.price_step,
            self.label,
            self.class_edges,
            self.symbols,
            self.instrument_ids,
            self.gap_ns,
            self.day_start_ns,
        );
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{hash} ({text})")
    }
}

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
