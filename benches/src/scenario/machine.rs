//! The machine's limits, measured before anything is held against them.

use anyhow::Result;
use lob_metrics::{Direction, Measurement, OTHERS_CPU, Role, Roof, Severity, Unit};
use lob_profiler::machine::{RoofBudget, measure_roof_within};

use super::Bench;

pub(super) fn roof(bench: &mut Bench<'_>) -> Result<()> {
    let budget = if bench.options.quick { RoofBudget::Quick } else { RoofBudget::Full };
    let outcome = measure_roof_within(bench.work, budget);
    let roof = outcome.roof;
    let mut add = |name: &str, unit: Unit, value: Option<f64>| {
        let direction = if unit == Unit::Seconds {
            Direction::LowerIsBetter
        } else {
            Direction::HigherIsBetter
        };
        let metric = format!("machine.{name}");
        bench.rec.add(match value {
            Some(value) => Measurement::measured(&metric, unit, direction, &[value]),
            None => {
                let missing = outcome.missing.iter().find(|(n, _)| n == name);
                let reason = missing.map_or("not measured".to_owned(), |(_, why)| why.to_string());
                Measurement::unavailable(&metric, unit, direction, &reason)
            }
        });
    };
    add("fill_bytes_per_s", Unit::BytesPerSecond, roof.fill_bytes_per_s);
    add("copy_bytes_per_s", Unit::BytesPerSecond, roof.copy_bytes_per_s);
    add("zstd_decode_bytes_per_s", Unit::BytesPerSecond, roof.zstd_decode_bytes_per_s);
    add("gemm_flop_per_s", Unit::FlopPerSecond, roof.gemm_flop_per_s);
    add("fsync_s", Unit::Seconds, roof.fsync_s);
    for (name, value) in &roof.more {
        add(name, Roof::unit_of(name), Some(*value));
    }
    let utilisation = Measurement::unavailable(
        "gpu.utilisation",
        Unit::Fraction,
        Direction::HigherIsBetter,
        "no scenario of this run used a GPU",
    );
    bench.rec.add(utilisation.with_role(Role::GpuUtilisation));
    let scope_cost_s = lob_scope::calibrate_scope_cost();
    bench.rec.add(Measurement::measured(
        "machine.profiler_scope",
        Unit::Seconds,
        Direction::LowerIsBetter,
        &[scope_cost_s],
    ));
    if outcome.missing.is_empty() {
        bench.rec.finding(Severity::Info, "every limit was measured");
    }
    bench.state.others_cpu = outcome.others_cpu.as_ref().ok().copied();
    let others = outcome.others_cpu.map_err(|why| why.reason);
    bench.rec.add(match others {
        Ok(share) => {
            Measurement::measured(OTHERS_CPU, Unit::Fraction, Direction::Neutral, &[share])
        }
        Err(why) => Measurement::unavailable(OTHERS_CPU, Unit::Fraction, Direction::Neutral, &why),
    });
    bench.state.scope_cost_s = Some(scope_cost_s);
    bench.state.roof = roof;
    Ok(())
}
