//! Criterion's estimates, gathered into the Run.
//!
//! Criterion's files are its own affair; what is read here is what 0.8 writes:
//! `GROUP/.../new/estimates.json` with the median and its interval in nanoseconds, and
//! `benchmark.json` beside it with the name and the throughput.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use lob_metrics::{Direction, Measurement, Unit, shown};
use serde_json::Value;

use super::Bench;

const NANOSECOND: f64 = 1e-9;

pub(super) fn criterion(bench: &mut Bench<'_>) -> Result<()> {
    let Some(folder) = bench.options.criterion.clone() else {
        let why = "no folder of criterion's results was given: run `cargo xtask bench --criterion`";
        bench.rec.skipped = Some(why.to_owned());
        return Ok(());
    };
    let since =
        bench.options.criterion_since_s.map_or(UNIX_EPOCH, |s| UNIX_EPOCH + Duration::from_secs(s));
    let mut found = Vec::new();
    estimates(&folder, since, &mut found)?;
    found.sort();
    ensure!(!found.is_empty(), "`{}` holds no results of criterion", shown(folder.display()));
    bench.rec.config("folder", folder.display().to_string());
    bench.rec.config("benches", found.len());
    for path in found {
        for measurement in measurements(&path)? {
            bench.rec.add(measurement);
        }
    }
    Ok(())
}

/// Every `new/estimates.json` below a folder, written at `since` or later.
fn estimates(folder: &Path, since: SystemTime, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list `{}`", shown(folder.display())))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let file = path.join("estimates.json");
        if path.file_name().is_some_and(|name| name == "new") && file.is_file() {
            let written = file.metadata().and_then(|m| m.modified());
            if written.with_context(|| format!("cannot look at `{}`", shown(file.display())))?
                >= since
            {
                found.push(file);
            }
        } else {
            estimates(&path, since, found)?;
        }
    }
    Ok(())
}

/// The time of one bench, and its rate where a throughput is set.
fn measurements(path: &Path) -> Result<Vec<Measurement>> {
    let estimate = read(path)?;
    let about = read(&path.with_file_name("benchmark.json"))?;
    let name = about["full_id"].as_str().context("criterion's file has no `full_id`")?;
    let metric = format!("criterion.{}", name.replace('/', "."));
    let median = &estimate["median"];
    let ns = |value: &Value| value.as_f64().map(|ns| ns * NANOSECOND);
    let value = ns(&median["point_estimate"])
        .filter(|s| *s > 0.0)
        .with_context(|| format!("`{}` has no median", shown(path.display())))?;
    let interval = &median["confidence_interval"];
    let ends = ns(&interval["lower_bound"]).zip(ns(&interval["upper_bound"]));
    let mut time =
        Measurement::measured(&metric, Unit::Seconds, Direction::LowerIsBetter, &[value]);
    time.ci95 = ends.map(|(low, high)| [low, high]);
    let mut found = vec![time];
    if let Some((unit, amount)) = throughput(&about["throughput"]) {
        let metric = format!("{metric}.throughput");
        let rate = amount / value;
        let mut rate = Measurement::measured(&metric, unit, Direction::HigherIsBetter, &[rate]);
        rate.ci95 = ends.map(|(low, high)| [amount / high, amount / low]);
        found.push(rate);
    }
    Ok(found)
}

/// Elements or bytes of one iteration; criterion writes `{"Elements": 32}`.
fn throughput(value: &Value) -> Option<(Unit, f64)> {
    let (kind, amount) = value.as_object()?.iter().next()?;
    let unit = match kind.as_str() {
        "Bytes" | "BytesDecimal" => Unit::BytesPerSecond,
        "Elements" => Unit::ValuesPerSecond,
        _ => return None,
    };
    Some((unit, amount.as_f64()?))
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read(path).with_context(|| format!("cannot read `{}`", shown(path.display())))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("`{}` is not JSON", shown(path.display())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(folder: &Path, name: &str, value: &Value) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(name), value.to_string()).unwrap();
    }

    #[test]
    fn a_bench_gives_its_time_and_its_rate() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("render/volume/new");
        let interval = json!({"lower_bound": 90.0, "upper_bound": 110.0, "confidence_level": 0.95});
        let median = json!({"point_estimate": 100.0, "confidence_interval": interval});
        write(&new, "estimates.json", &json!({"mean": median, "median": median}));
        let about = json!({"full_id": "render/volume", "throughput": {"Elements": 4}});
        write(&new, "benchmark.json", &about);
        write(&folder.path().join("render/volume/base"), "estimates.json", &json!({}));
        let mut found = Vec::new();
        estimates(folder.path(), UNIX_EPOCH, &mut found).unwrap();
        assert_eq!(found, [new.join("estimates.json")]);
        let [time, rate] = &measurements(&found[0]).unwrap()[..] else { panic!("two") };
        assert_eq!(time.metric, "criterion.render.volume");
        assert!((time.value().unwrap() - 1e-7).abs() < 1e-15);
        assert!((time.ci95.unwrap()[1] - 1.1e-7).abs() < 1e-15);
        assert_eq!(rate.unit, Unit::ValuesPerSecond);
        assert!((rate.value().unwrap() / 4e7 - 1.0).abs() < 1e-9);
        assert!(rate.ci95.unwrap()[0] < rate.value().unwrap());
        let later = SystemTime::now() + Duration::from_secs(60);
        let mut none = Vec::new();
        estimates(folder.path(), later, &mut none).unwrap();
        assert!(none.is_empty());
    }
}
