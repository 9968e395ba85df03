//! Settings of a conversion.

mod edges;
mod horizons;
mod preset;

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use lob_depth::{BinRule, LabelSpec, PriceStep, SizeAggregate};
use lob_store::{TickOptions, WriterOptions};
use sha2::{Digest, Sha256};

pub use horizons::{ForwardClasses, Horizon};
pub use preset::Preset;

use crate::{ConvertError, Instrument, InstrumentEdges, day::DAY_NS};

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
    /// Quantiles of the training part of the movements, for each instrument of each input.
    #[default]
    Fit,
    /// These ascending inner edges, one fewer than classes, for all instruments.
    Fixed(Vec<f64>),
    /// The same for each instrument by its symbol, `*` for all that are not named: those of
    /// another store, see [`ClassEdges::of`].
    PerSymbol(BTreeMap<String, Vec<f64>>),
    /// Those of edges files, see [`fit_edges`](crate::fit_edges).
    Fitted(Vec<InstrumentEdges>),
    /// Ascending distances from no movement in pips, 1e-4 of the price each, taken on both sides:
    /// n of them part 2 n + 1 classes. See [`ClassEdges::reference_pips`].
    Pips(Vec<f64>),
    /// Ascending multiples of the volatility, one fewer than classes: of the standard deviation of
    /// the training part of the movements, for each instrument of each input.
    Volatility(Vec<f64>),
}

/// How the content of an input is told from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputHash {
    /// SHA-256, which manifests list and other tools compute. On a processor with instructions for
    /// it some 0.2 µs for each record of an uncompressed file, more than all other work.
    #[default]
    Sha256,
    /// XXH3 of 128 bits: enough to tell a changed file, at a tenth of the cost. No protection
    /// against forgery, and nothing to compare a manifest with.
    Xxh3,
    /// None. Such a conversion cannot be resumed.
    None,
}

impl FromStr for InputHash {
    type Err = ConvertError;

    fn from_str(text: &str) -> Result<Self, ConvertError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "xxh3" => Ok(Self::Xxh3),
            "none" => Ok(Self::None),
            _ => Err(ConvertError::Config {
                setting: "input-hash",
                found: text.to_owned(),
                expected: "`sha256`, `xxh3` or `none`".to_owned(),
            }),
        }
    }
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

/// One of `count` shares of the inputs, split by size: disjoint, complete, and the same in every
/// process that sees the same files.
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

/// One of several processes that write a store at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A share of the inputs; it reads the journals of all others.
    Shard(Shard),
    /// One task among very many, with a journal of this name. It does not read those of others.
    Named(String),
}

impl Writer {
    /// Name of its journal and lock.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Shard(shard) => format!("shard-{}-of-{}", shard.index, shard.count),
            Self::Named(name) => name.clone(),
        }
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
    /// Price steps of single instruments, by symbol or instrument id, in 1e-9 price units. They win
    /// over the one for all.
    pub price_steps: BTreeMap<String, i64>,
    /// Windows and number of classes of the labels.
    pub label: LabelSpec,
    /// Horizons of labels of kind forward: columns `forward_N` beside the movement, and with any of
    /// them realised volatility, next change and side of the next trade. `None` for the default of the
    /// layout: 1, 3, 10 and 50 bins, none of ticks.
    pub horizons: Option<Vec<Horizon>>,
    /// Classes of labels of kind forward.
    pub forward_classes: ForwardClasses,
    /// A truth file of `lob synth`: columns `true_regime` and `true_pressure`, the hidden state of the
    /// market at the last update of each bin. For [`Layout::Bins`] alone.
    pub truth: Option<PathBuf>,
    /// Edges of the classes.
    pub class_edges: ClassEdges,
    /// Part of an instrument's movements, from the first on, that edges are fitted on: above 0, at
    /// most 1. `None` for the first half, or for all where the half has fewer than ten for each
    /// class, as the reference does.
    pub fit_part: Option<f64>,
    /// Symbols to convert; empty for all.
    pub symbols: Vec<String>,
    /// Instruments to convert; empty for all. With symbols given, either may match.
    pub instrument_ids: Vec<u32>,
    /// A pause of an instrument longer than this ends its segment, in nanoseconds. No bin, window
    /// or label reaches across. The default of 30 minutes is shorter than the daily breaks of
    /// exchanges and longer than lulls of a live market; `u64::MAX` switches it off.
    pub gap_ns: u64,
    /// Start of a partition's day from midnight UTC of its date, in nanoseconds, see
    /// [`DayStart`](crate::DayStart). The default 0 matches the daily files of the vendor; -2 h,
    /// which is 22:00 of the day before, makes a day of a CME session.
    pub day_start_ns: i64,
    /// Inputs converted at the same time.
    pub jobs: usize,
    /// The part of the inputs to convert. Several shards may write one store at the same time.
    pub shard: Option<Shard>,
    /// Name of this run's own journal, for one of many tasks that write one store at the same
    /// time: letters, digits, `-` and `_`, at most 100 of them. With it, `resume` knows only what
    /// this journal and that of runs without a name hold.
    pub journal: Option<String>,
    /// Whether inputs that an earlier run finished are taken over instead of converted again.
    pub resume: bool,
    /// Whether the others are converted when an input fails.
    pub keep_going: bool,
    /// Whether inputs that hold the same instruments at the same time are all converted, whatever
    /// they share.
    pub keep_duplicates: bool,
    /// What the content of each input is known by. Resuming needs it; inputs that a manifest lists
    /// get their SHA-256 whatever stands here.
    pub input_hash: InputHash,
    /// Whether a single large input is spread over several threads: one reads and decompresses,
    /// and the layout of ticks encodes on two. Of several inputs each has one thread, see `jobs`.
    pub read_ahead: bool,
    /// Files of definition records, whose price increments are the price steps of instruments.
    /// Those found in folders among the inputs are used too.
    pub definitions: Vec<PathBuf>,
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
            price_steps: BTreeMap::new(),
            label: LabelSpec::default(),
            horizons: None,
            forward_classes: ForwardClasses::default(),
            truth: None,
            class_edges: ClassEdges::default(),
            fit_part: None,
            symbols: Vec::new(),
            instrument_ids: Vec::new(),
            gap_ns: 30 * 60 * 1_000_000_000,
            day_start_ns: 0,
            jobs: 1,
            shard: None,
            journal: None,
            resume: false,
            keep_going: false,
            keep_duplicates: false,
            input_hash: InputHash::default(),
            read_ahead: true,
            definitions: Vec::new(),
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
        if let Some((name, step)) = self.price_steps.iter().find(|(_, step)| **step <= 0) {
            return refuse("price-step", format!("{name}={step}e-9"), "more than 0");
        }
        if self.day_start_ns.unsigned_abs() >= 2 * DAY_NS {
            return refuse("day-start", format!("{} ns", self.day_start_ns), "less than 48 h");
        }
        if self.jobs == 0 {
            return refuse("jobs", "0".to_owned(), "at least 1");
        }
        if let Some(name) = &self.journal {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || name.len() > 100 || !name.chars().all(is_plain) {
                let expected = "1 to 100 letters, digits, `-` and `_`";
                return refuse("journal", name.clone(), expected);
            }
        }
        if self.resume && self.input_hash == InputHash::None {
            return refuse("resume", "no input hashes".to_owned(), "an input hash other than none");
        }
        if let Some(path) = self.truth.as_ref().filter(|_| self.layout == Layout::Ticks) {
            let expected = "none with the layout of ticks, whose rows have no labels by name";
            return refuse("truth", path.display().to_string(), expected);
        }
        if let Some(part) = self.fit_part
            && !(part > 0.0 && part <= 1.0)
        {
            return refuse("fit-part", part.to_string(), "more than 0, at most 1");
        }
        self.class_edges.validate(self.label.classes)?;
        self.check_horizons()
    }

    /// Whether the filters let an instrument through.
    pub(crate) fn wants(&self, instrument: &Instrument) -> bool {
        let is_symbol = |symbol: &str| self.symbols.iter().any(|wanted| wanted == symbol);
        (self.symbols.is_empty() && self.instrument_ids.is_empty())
            || instrument.symbol.as_deref().is_some_and(is_symbol)
            || self.instrument_ids.contains(&instrument.instrument_id)
    }

    /// Whether an instrument of this symbol may be converted: for words about symbols of unknown
    /// ids.
    pub(crate) fn may_want(&self, symbol: &str) -> bool {
        self.symbols.is_empty()
            || !self.instrument_ids.is_empty()
            || self.symbols.iter().any(|wanted| wanted == symbol)
    }

    /// Who this run is among several that write one store, if it is one of several.
    pub(crate) fn writer(&self) -> Option<Writer> {
        let named = self.journal.clone().map(Writer::Named);
        named.or_else(|| self.shard.map(Writer::Shard))
    }

    /// The price step given for one instrument alone.
    pub(crate) fn given_step(&self, symbol: Option<&str>, instrument_id: u32) -> Option<i64> {
        if self.price_steps.is_empty() {
            return None;
        }
        let by_symbol = symbol.and_then(|symbol| self.price_steps.get(symbol));
        by_symbol.or_else(|| self.price_steps.get(&instrument_id.to_string())).copied()
    }

    /// What decides the content of a store, as text: stores of different settings do not mix. The
    /// truth file is known by the hash of its content.
    pub(crate) fn fingerprint(&self, truth: Option<&str>) -> String {
        let version = match self.layout {
            Layout::Bins => lob_store::FORMAT_VERSION,
            Layout::Ticks => lob_store::TICKS_FORMAT_VERSION,
        };
        let mut text = format!(
            "store {version} layout {:?} bins {} sizes {} step {:?} label {:?} edges {} of {:?} symbols {:?} ids {:?} gap {} day {}",
            self.layout,
            self.bin_rule,
            self.size_aggregate,
            self.price_step,
            self.label,
            self.class_edges.as_setting(),
            self.fit_part,
            self.symbols,
            self.instrument_ids,
            self.gap_ns,
            self.day_start_ns,
        );
        if !self.horizons().is_empty() {
            text += &format!(" horizons {:?} {}", self.horizons(), self.forward_classes);
        }
        if let Some(truth) = truth {
            text += &format!(" truth {truth}");
        }
        if !self.price_steps.is_empty() {
            text += &format!(" steps {:?}", self.price_steps);
        }
        let digest = Sha256::digest(text.as_bytes());
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{hash} ({text})")
    }
}
