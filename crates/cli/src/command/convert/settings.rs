//! Flags to settings: an explicit flag wins over a preset, a preset over a default.

use anyhow::{Result, bail};
use lob_convert::{ConvertConfig, Preset, PriceStepChoice};
use lob_depth::{BinRule, LabelSpec};

use super::{Args, BinBy};

/// Book updates a bin when nothing is asked for.
const DEFAULT_TICKS_PER_BIN: u32 = 100;

pub(super) fn config(args: &Args) -> Result<ConvertConfig> {
    let preset = args.preset.as_deref().map(Preset::find).transpose()?;
    let base = preset.as_ref().map_or_else(LabelSpec::default, |p| p.label);
    let preset_step = preset.as_ref().map(|p| PriceStepChoice::Fixed(p.price_step));
    Ok(ConvertConfig {
        bin_rule: bin_rule(args)?,
        size_aggregate: args.size_aggregate,
        price_step: args.price_step.or(preset_step).unwrap_or_default(),
        label: LabelSpec {
            lookback: args.lookback.unwrap_or(base.lookback),
            lookforward: args.lookforward.unwrap_or(base.lookforward),
            offset: args.offset.unwrap_or(base.offset),
            classes: args.label_classes.unwrap_or(base.classes),
        },
        symbols: args.symbols.clone(),
        instrument_ids: args.instrument_ids.clone(),
        jobs: args.jobs,
        shard: args.shard,
        resume: args.resume,
        keep_going: args.keep_going,
        ..ConvertConfig::new(&args.out)
    })
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
