//! `--config FILE`: settings from a TOML file, below the flags given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lob_metrics::{SettingsVersion, shown};
use serde::Deserialize;

use super::{Args, BinBy, StepArg, steps};

/// The keys of the file: the flags' names. Paths and what a single run is about stay flags.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// Another one is refused.
    version: SettingsVersion,
    layout: Option<String>,
    bin_by: Option<BinBy>,
    ticks_per_bin: Option<u32>,
    bin_ns: Option<u64>,
    bin_volume: Option<u64>,
    size_aggregate: Option<String>,
    #[serde(alias = "micro-pip")]
    price_step: Option<PriceStep>,
    symbols: Vec<String>,
    instrument_ids: Vec<u32>,
    gap: Option<f64>,
    no_gap: bool,
    day_start: Option<String>,
    jobs: Option<usize>,
    resume: bool,
    keep_going: bool,
    keep_duplicates: bool,
    label_classes: Option<u32>,
    lookback: Option<u32>,
    lookforward: Option<u32>,
    offset: Option<u32>,
    horizons: Option<Horizons>,
    forward_classes: Option<String>,
    truth: Option<PathBuf>,
    label_thresholds: Vec<f64>,
    label_volatility: Vec<f64>,
    label_pips: Option<String>,
    label_edges: Option<PathBuf>,
    fit_part: Option<f64>,
    definitions: Vec<PathBuf>,
    input_hash: Option<String>,
    no_read_ahead: bool,
    preset: Option<String>,
}

/// `[1, 10, "5s"]`, or `"none"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Horizons {
    One(Horizon),
    Several(Vec<Horizon>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Horizon {
    Bins(u32),
    Text(String),
}

impl Horizons {
    /// As the flag has them.
    fn texts(self) -> Vec<String> {
        let text = |horizon| match horizon {
            Horizon::Bins(n) => n.to_string(),
            Horizon::Text(text) => text,
        };
        match self {
            Self::One(horizon) => vec![text(horizon)],
            Self::Several(all) if all.is_empty() => vec!["none".to_owned()],
            Self::Several(all) => all.into_iter().map(text).collect(),
        }
    }
}

/// `"auto"`, `"0.25"` or `0.25`; or a table of them by symbol, `"*"` for all others.
#[derive(Deserialize)]
#[serde(untagged)]
enum PriceStep {
    All(Price),
    Of(BTreeMap<String, Price>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Price {
    Text(String),
    Number(f64),
}

impl Price {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

impl PriceStep {
    fn args(self) -> Result<Vec<StepArg>> {
        let steps = match self {
            Self::All(price) => return Ok(vec![StepArg::All(price.text().parse()?)]),
            Self::Of(steps) => steps,
        };
        let arg = |(name, price): (String, Price)| match name.as_str() {
            "*" => Ok(StepArg::All(price.text().parse()?)),
            _ => Ok(format!("{name}={}", price.text()).parse()?),
        };
        steps.into_iter().map(arg).collect()
    }
}

/// The flags, with what they leave open taken from the config file.
pub(super) fn merged(args: &Args) -> Result<Args> {
    let mut args = args.clone();
    let Some(path) = args.config.take() else { return Ok(args) };
    let context = || format!("settings in `{}`", shown(path.display()));
    let text = std::fs::read_to_string(&path).with_context(context)?;
    let file: Settings = toml::from_str(&text).with_context(context)?;
    apply(file, &mut args).with_context(context)?;
    Ok(args)
}

fn apply(file: Settings, args: &mut Args) -> Result<()> {
    let layout = file.layout.map(|name| name.parse()).transpose()?;
    let aggregate = file.size_aggregate.map(|name| name.parse()).transpose()?;
    let input_hash = file.input_hash.map(|name| name.parse()).transpose()?;
    let day_start = file.day_start.map(|text| text.parse()).transpose()?;
    let price_step = file.price_step.map(PriceStep::args).transpose()?.unwrap_or_default();
    args.layout = args.layout.or(layout);
    args.size_aggregate = args.size_aggregate.or(aggregate);
    args.price_step = steps::merged(std::mem::take(&mut args.price_step), price_step);
    args.day_start = args.day_start.or(day_start);
    // The settings of bins go together: one flag replaces all of the file's.
    let has_bin_flag = args.bin_by.is_some()
        || args.ticks_per_bin.is_some()
        || args.bin_ns.is_some()
        || args.bin_volume.is_some();
    if !has_bin_flag {
        args.bin_by = file.bin_by;
        args.ticks_per_bin = file.ticks_per_bin;
        args.bin_ns = file.bin_ns;
        args.bin_volume = file.bin_volume;
    }
    if args.symbols.is_empty() && args.instrument_ids.is_empty() {
        args.symbols = file.symbols;
        args.instrument_ids = file.instrument_ids;
    }
    if args.gap.is_none() && !args.no_gap {
        args.gap = file.gap;
        args.no_gap = file.no_gap;
    }
    let has_edges_flag = !(args.label_thresholds.is_empty() && args.label_volatility.is_empty())
        || args.label_pips.is_some()
        || args.label_edges.is_some();
    if !has_edges_flag {
        args.label_thresholds = file.label_thresholds;
        args.label_volatility = file.label_volatility;
        args.label_pips = file.label_pips;
        args.label_edges = file.label_edges;
    }
    if args.definitions.is_empty() {
        args.definitions = file.definitions;
    }
    args.fit_part = args.fit_part.or(file.fit_part);
    args.input_hash = args.input_hash.or(input_hash);
    args.no_read_ahead |= file.no_read_ahead;
    args.jobs = args.jobs.or(file.jobs);
    args.resume |= file.resume;
    args.keep_going |= file.keep_going;
    args.keep_duplicates |= file.keep_duplicates;
    args.label_classes = args.label_classes.or(file.label_classes);
    args.lookback = args.lookback.or(file.lookback);
    args.lookforward = args.lookforward.or(file.lookforward);
    args.offset = args.offset.or(file.offset);
    if args.horizons.is_empty() {
        args.horizons = file.horizons.map(Horizons::texts).unwrap_or_default();
    }
    let classes = file.forward_classes.map(|text| text.parse()).transpose()?;
    args.forward_classes = args.forward_classes.or(classes);
    args.truth = args.truth.take().or(file.truth);
    args.preset = args.preset.take().or(file.preset);
    Ok(())
}
