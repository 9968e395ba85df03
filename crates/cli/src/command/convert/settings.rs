//! Flags to settings: an explicit flag wins over a preset, a preset over a default.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use lob_convert::{ClassEdges, ConvertConfig, DayStart, Horizon, Preset, PriceStepChoice};
use lob_depth::{BinRule, LabelSpec};

use super::{Args, BinBy, steps};

/// Book updates a bin when nothing is asked for.
const DEFAULT_TICKS_PER_BIN: u32 = 100;

pub(super) fn config(args: &Args) -> Result<ConvertConfig> {
    let preset = args.preset.as_deref().map(Preset::find).transpose()?;
    let base = preset.as_ref().map_or_else(LabelSpec::default, |p| p.label);
    let preset_step = preset.as_ref().map(|p| PriceStepChoice::Fixed(p.price_step));
    let (price_step, price_steps) = steps::parts(&args.price_step)?;
    let defaults = ConvertConfig::new(&args.out);
    let label = LabelSpec {
        lookback: args.lookback.unwrap_or(base.lookback),
        lookforward: args.lookforward.unwrap_or(base.lookforward),
        offset: args.offset.unwrap_or(base.offset),
        classes: args.label_classes.unwrap_or(base.classes),
    };
    let class_edges = class_edges(args, &label)?;
    let n_classes = args.label_classes.or_else(|| class_edges.n_classes());
    Ok(ConvertConfig {
        layout: args.layout.unwrap_or_default(),
        bin_rule: bin_rule(args)?,
        size_aggregate: args.size_aggregate.unwrap_or_default(),
        price_step: price_step.or(preset_step).unwrap_or_default(),
        price_steps,
        label: LabelSpec { classes: n_classes.unwrap_or(base.classes), ..label },
        symbols: args.symbols.clone(),
        instrument_ids: args.instrument_ids.clone(),
        horizons: horizons(&args.horizons)?,
        forward_classes: args.forward_classes.unwrap_or_default(),
        truth: args.truth.clone(),
        class_edges,
        fit_part: args.fit_part,
        definitions: args.definitions.clone(),
        input_hash: args.input_hash.unwrap_or_default(),
        read_ahead: !args.no_read_ahead,
        gap_ns: gap_ns(args, defaults.gap_ns)?,
        day_start_ns: args.day_start.map_or(defaults.day_start_ns, DayStart::ns),
        jobs: args.jobs.unwrap_or(defaults.jobs),
        shard: args.shard,
        journal: args.journal.clone(),
        resume: args.resume,
        keep_going: args.keep_going,
        keep_duplicates: args.keep_duplicates,
        ..defaults
    })
}

/// Horizons, or the word that stands for none; nothing asks for the default.
fn horizons(texts: &[String]) -> Result<Option<Vec<Horizon>>> {
    match texts {
        [] => Ok(None),
        [none] if none == "none" => Ok(Some(Vec::new())),
        all => Ok(Some(all.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)),
    }
}

fn class_edges(args: &Args, label: &LabelSpec) -> Result<ClassEdges> {
    let given = [
        !args.label_thresholds.is_empty(),
        !args.label_volatility.is_empty(),
        args.label_pips.is_some(),
        args.label_edges.is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() > 1 {
        bail!(
            "`label-thresholds`, `label-volatility`, `label-pips` and `label-edges` exclude each other"
        );
    }
    if let Some(path) = &args.label_edges {
        return Ok(ClassEdges::of(path, label)?.0);
    }
    match (args.label_pips.as_deref(), args.label_thresholds.as_slice()) {
        (Some("reference"), _) => ClassEdges::reference_pips(label).with_context(|| {
            format!("no reference thresholds for {} classes\nhint: 5, 7, 9 or 13", label.classes)
        }),
        (Some(pips), _) => {
            let pips = pips.split(',').map(|pip| {
                pip.trim()
                    .parse()
                    .with_context(|| format!("`{pip}` in `--label-pips` is no number"))
            });
            Ok(ClassEdges::Pips(pips.collect::<Result<_>>()?))
        }
        (None, []) if args.label_volatility.is_empty() => Ok(ClassEdges::Fit),
        (None, []) => Ok(ClassEdges::Volatility(args.label_volatility.clone())),
        (None, edges) => Ok(ClassEdges::Fixed(edges.to_vec())),
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
