//! Flags to settings: an explicit flag wins over a preset, a preset over a default.

use std::time::Duration;

use anyhow::{Result, bail};
use lob_convert::{ClassEdges, ConvertConfig, Preset, PriceStepChoice};
use lob_depth::{BinRule, LabelSpec};

use super::{Args, BinBy};

/// Book updates a bin when nothing is asked for.
const DEFAULT_TICKS_PER_BIN: u32 = 100;

pub(super) fn config(args: &Args) -> Result<ConvertConfig> {
    let preset = args.preset.as_deref().map(Preset::find).transpose()?;
    let base = preset.as_ref().map_or_else(LabelSpec::default, |p| p.label);
    let preset_step = preset.as_ref().map(|p| PriceStepChoice::Fixed(p.price_step));
    let class_edges = class_edges(args)?;
    let n_edges = match &class_edges {
        ClassEdges::Fixed(edges) | ClassEdges::Volatility(edges) => u32::try_from(edges.len()).ok(),
        _ => None,
    };
    let defaults = ConvertConfig::new(&args.out);
    Ok(ConvertConfig {
        layout: args.layout.unwrap_or_default(),
        bin_rule: bin_rule(args)?,
        size_aggregate: args.size_aggregate.unwrap_or_default(),
        price_step: args.price_step.or(preset_step).unwrap_or_default(),
        label: LabelSpec {
            lookback: args.lookback.unwrap_or(base.lookback),
            lookforward: args.lookforward.unwrap_or(base.lookforward),
            offset: args.offset.unwrap_or(base.offset),
            classes: args.label_classes.or(n_edges.map(|n| n + 1)).unwrap_or(base.classes),
        },
        symbols: args.symbols.clone(),
        instrument_ids: args.instrument_ids.clone(),
        class_edges,
        gap_ns: gap_ns(args, defaults.gap_ns)?,
        jobs: args.jobs.unwrap_or(defaults.jobs),
        shard: args.shard,
        resume: args.resume,
        keep_going: args.keep_going,
        ..defaults
    })
}

fn class_edges(args: &Args) -> Result<ClassEdges> {
    match (args.label_thresholds.as_slice(), args.label_volatility.as_slice()) {
        ([], []) => Ok(ClassEdges::Fit),
        (edges, []) => Ok(ClassEdges::Fixed(edges.to_vec())),
        ([], multiples) => Ok(ClassEdges::Volatility(multiples.to_vec())),
        _ => bail!("`label-thresholds` and `label-volatility` exclude each other"),
    }
}

fn gap_ns(args: &Args, default_ns: u64) -> Result<u64> {
    match args.gap {
        _ if args.no_gap => Ok(u64::MAX),
        None => Ok(default_ns),
        Some(seconds) if seconds > 0.0 => {
            Ok(u64::try_from(Duration::try_from_secs_f64(seconds)?.as_nanos())?)
        }
        Some(seconds) => bail!("`--gap` of `{seconds}` seconds\nhint: more than 0, or --no-gap"),
    }
}

fn bin_rule(args: &Args) -> Result<BinRule> {
    let by = match (args.bin_by, args.bin_ns, args.bin_volume) {
        (Some(by), _, _) => by,
        (None, Some(_), _) => BinBy::Time,
        (None, None, Some(_)) => BinBy::Volume,
        (None, None, None) => BinBy::Ticks,
    };
    let sizes = [
        (BinBy::Ticks, "--ticks-per-bin", args.ticks_per_bin.is_some()),
        (BinBy::Time, "--bin-ns", args.bin_ns.is_some()),
        (BinBy::Volume, "--bin-volume", args.bin_volume.is_some()),
    ];
    if let Some((_, flag, _)) = sizes.iter().find(|(of, _, given)| *given && *of != by) {
        bail!(
            "`{flag}` does not go with the other bin settings\nhint: one of --ticks-per-bin, --bin-ns, --bin-volume"
        );
    }
    match (by, args.bin_ns, args.bin_volume) {
        (BinBy::Ticks, _, _) => {
            Ok(BinRule::Updates(args.ticks_per_bin.unwrap_or(DEFAULT_TICKS_PER_BIN)))
        }
        (BinBy::Time, Some(ns), _) => Ok(BinRule::TimeNs(ns)),
        (BinBy::Volume, _, Some(volume)) => Ok(BinRule::Volume(volume)),
        (BinBy::Time, None, _) => bail!("`--bin-by time` needs `--bin-ns`, such as 1000000000"),
        (BinBy::Volume, _, None) => bail!("`--bin-by volume` needs `--bin-volume`, such as 500"),
    }
}
