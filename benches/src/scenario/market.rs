//! The records everything else works on: the user's files, or a synthetic market.

use std::time::Instant;

use anyhow::{Context, Result};
use lob_metrics::{Severity, Unit, shown};
use lob_synth::{Mess, Schema, SynthConfig};

use super::Bench;
use super::recorder::Limit;

/// Bytes of an MBP-10 record and of an MBO record in DBN.
const MBP10_BYTES: f64 = 368.0;
const MBO_BYTES: f64 = 56.0;

pub(super) fn records(bench: &mut Bench<'_>) -> Result<()> {
    if bench.options.inputs.is_empty() { synthesise(bench) } else { given(bench) }
}

fn given(bench: &mut Bench<'_>) -> Result<()> {
    let mut bytes = 0;
    for input in &bench.options.inputs {
        let metadata = std::fs::metadata(input)
            .with_context(|| format!("cannot read `{}`", shown(input.display())))?;
        bytes += metadata.len();
    }
    bench.rec.config("files", bench.options.inputs.len());
    bench.rec.add(lob_metrics::Measurement::measured(
        "market.input_bytes",
        Unit::Bytes,
        lob_metrics::Direction::Neutral,
        &[bytes as f64],
    ));
    bench.rec.finding(Severity::Info, "these are the files given; nothing synthetic was added");
    bench.state.dbn.clone_from(&bench.options.inputs);
    Ok(())
}

fn synthesise(bench: &mut Bench<'_>) -> Result<()> {
    let (records, sessions) = if bench.options.quick { (1_000_000, 1) } else { (4_000_000, 2) };
    for (schema, name, record_bytes, share) in
        [(Schema::Mbp10, "mbp-10", MBP10_BYTES, 1), (Schema::Mbo, "mbo", MBO_BYTES, 2)]
    {
        let _scope = lob_scope::scope(if share == 1 { "write_mbp10" } else { "write_mbo" });
        let config = SynthConfig {
            records: records / share,
            instruments: 2,
            sessions,
            seed: bench.options.seed,
            schema,
        };
        let path = bench.work.join(format!("market.{name}.dbn.zst"));
        let begun = Instant::now();
        let summary = if bench.options.messy {
            lob_synth::write_messy_file(&config, &Mess::daily(), &path, &|| false)?.summary
        } else {
            lob_synth::write_file(&config, &path)?
        };
        let rate = summary.records as f64 / begun.elapsed().as_secs_f64();
        let limit = Limit::of(
            rate * record_bytes,
            bench.state.roof.copy_bytes_per_s,
            "copy bandwidth",
            Unit::BytesPerSecond,
        );
        bench.rec.rate(
            &format!("market.{name}_records_per_s"),
            Unit::RecordsPerSecond,
            &[rate],
            limit,
        );
        bench.rec.count(&format!("market.{name}_records"), summary.records as f64);
        if schema == Schema::Mbp10 {
            let symbols: Vec<&str> = summary.instruments.iter().map(|(_, s)| s.as_str()).collect();
            bench.rec.config("symbols", symbols.join(", "));
            bench.state.dbn = vec![path];
        } else {
            bench.state.mbo_twin = Some(path);
        }
    }
    bench.rec.config("seed", bench.options.seed);
    bench.rec.config("sessions", sessions);
    if bench.options.messy {
        bench.rec.config("messy", true);
    }
    Ok(())
}
