//! Work held against what it took before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lob_metrics::{BUSY_SHARE, Unit, shown};
use lob_profiler::Profile;
use lob_profiler::machine::MachineLoad;
use serde_json::{Value, json};

use super::{PerformanceProfiler, Profiling};
use crate::{ProfilerConfig, WatchError};

/// Holds profiles against a file of baselines:
/// `{"operation": {"wall_time_s": 1.2, "cpu_time_s": 2.1}, ...}`.
///
/// One run is one sample: a threshold should be far above what the operation strays by itself. A
/// verdict that has to be believed takes pairs of launches, as `lob ab` does.
///
/// ```
/// use lob_watch::{RegressionDetector, RegressionVerdict};
/// let file = std::env::temp_dir().join(format!("baselines-{}.json", std::process::id()));
/// let mut detector = RegressionDetector::open(&file)?;
/// let running = detector.check_regression("training", 0.2);
/// let sum: u64 = (0..1000u64).sum();
/// let check = running.finish();
/// assert_eq!(check.verdict, RegressionVerdict::NoBaseline);
/// detector.set_baseline(&check);
/// detector.save()?;
/// # std::fs::remove_file(&file).ok();
/// # assert_eq!(sum, 499_500);
/// # Ok::<(), lob_watch::WatchError>(())
/// ```
#[derive(Debug)]
pub struct RegressionDetector {
    path: PathBuf,
    baselines: BTreeMap<String, Baseline>,
    profiler: PerformanceProfiler,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Baseline {
    wall_s: f64,
    cpu_s: Option<f64>,
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegressionVerdict {
    /// Neither CPU time nor wall time is above the threshold.
    Holds,
    /// CPU time is above it, or wall time is and the machine was not busy with other programs.
    Regressed,
    /// Wall time is above it, CPU time is not known to be, and other programs used the machine.
    CannotJudge,
    /// The file has no baseline of that name.
    NoBaseline,
}

/// One operation held against its baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionCheck {
    /// Name of the operation.
    pub operation: String,
    /// Outcome.
    pub verdict: RegressionVerdict,
    /// Wall time in seconds, now and before.
    pub wall_s: (f64, Option<f64>),
    /// CPU time of the process in seconds, now and before.
    pub cpu_s: (Option<f64>, Option<f64>),
    /// Growth that is let pass, such as 0.2 for a fifth.
    pub threshold: f64,
    /// Share of the cores that other programs used meanwhile, 0..=1.
    pub others_cpu: Option<f64>,
    /// What was measured.
    pub profile: Profile,
}

/// An operation under way; [`finish`](Self::finish) ends it and says what became of it.
#[derive(Debug)]
#[must_use = "the verdict is what `finish` returns"]
pub struct RegressionGuard<'a> {
    running: Profiling<'a>,
    baseline: Option<Baseline>,
    load: MachineLoad,
    threshold: f64,
}

impl RegressionDetector {
    /// Reads the baselines; a file that is not there yet has none.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it should be.
    pub fn open(path: &Path) -> Result<Self, WatchError> {
        let baselines = match std::fs::read_to_string(path) {
            Ok(text) => parse(&text).map_err(|reason| refused(path, &reason))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(refused(path, &format!("it cannot be read: {error}"))),
        };
        let config = ProfilerConfig::builder().track_gpu(false).track_system(false).build()?;
        let profiler = PerformanceProfiler::new(config);
        Ok(Self { path: path.to_owned(), baselines, profiler })
    }

    /// Begins an operation, whose CPU time and wall time may grow by `threshold` (0.2 is a fifth).
    pub fn check_regression(&self, operation: &str, threshold: f64) -> RegressionGuard<'_> {
        RegressionGuard {
            baseline: self.baselines.get(operation).copied(),
            load: MachineLoad::read(),
            threshold,
            running: self.profiler.start(operation),
        }
    }

    /// Makes a check the baseline of its operation; [`save`](Self::save) writes it.
    pub fn set_baseline(&mut self, check: &RegressionCheck) {
        let baseline = Baseline { wall_s: check.wall_s.0, cpu_s: check.cpu_s.0 };
        self.baselines.insert(check.operation.clone(), baseline);
    }

    /// Writes the baselines: the file is replaced as a whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self) -> Result<(), WatchError> {
        let entry = |(name, baseline): (&String, &Baseline)| {
            let mut figures = json!({ "wall_time_s": baseline.wall_s });
            if let Some(cpu_s) = baseline.cpu_s {
                figures["cpu_time_s"] = cpu_s.into();
            }
            (name.clone(), figures)
        };
        let document: serde_json::Map<String, Value> = self.baselines.iter().map(entry).collect();
        super::report::write(&self.path, &Value::Object(document))
    }
}

impl RegressionGuard<'_> {
    /// Ends the operation.
    #[must_use]
    pub fn finish(self) -> RegressionCheck {
        let Self { running, baseline, load, threshold } = self;
        let profile = running.finish();
        let cpu_s = super::value_of(&profile, "cpu_time");
        let others_cpu = load.others_since().ok();
        RegressionCheck {
            operation: profile.name.clone(),
            verdict: verdict(baseline, (profile.wall_s, cpu_s), threshold, others_cpu),
            wall_s: (profile.wall_s, baseline.map(|b| b.wall_s)),
            cpu_s: (cpu_s, baseline.and_then(|b| b.cpu_s)),
            threshold,
            others_cpu,
            profile,
        }
    }
}

fn verdict(
    baseline: Option<Baseline>,
    (wall_s, cpu_s): (f64, Option<f64>),
    threshold: f64,
    others_cpu: Option<f64>,
) -> RegressionVerdict {
    let Some(baseline) = baseline else { return RegressionVerdict::NoBaseline };
    let over = |now: f64, before: f64| now > before * (1.0 + threshold);
    let cpu_is_over = cpu_s.zip(baseline.cpu_s).is_some_and(|(now, before)| over(now, before));
    let is_busy = others_cpu.is_some_and(|share| share > BUSY_SHARE);
    match (cpu_is_over, over(wall_s, baseline.wall_s), is_busy) {
        (true, _, _) | (false, true, false) => RegressionVerdict::Regressed,
        (false, true, true) => RegressionVerdict::CannotJudge,
        (false, false, _) => RegressionVerdict::Holds,
    }
}

impl RegressionCheck {
    /// The verdict and its figures in a line.
    #[must_use]
    pub fn text(&self) -> String {
        let time = |seconds: f64| Unit::Seconds.format(seconds);
        let pair = |name: &str, now: Option<f64>, before: Option<f64>| match (now, before) {
            (Some(now), Some(before)) if before > 0.0 => {
                let grown = (now / before - 1.0) * 100.0;
                Some(format!("{name} {} after {} ({grown:+.1} %)", time(now), time(before)))
            }
            (Some(now), _) => Some(format!("{name} {}", time(now))),
            _ => None,
        };
        let cpu = pair("CPU time", self.cpu_s.0, self.cpu_s.1);
        let wall = pair("wall time", Some(self.wall_s.0), self.wall_s.1);
        let figures: Vec<String> = [cpu, wall].into_iter().flatten().collect();
        let allowed = Unit::Fraction.format(self.threshold);
        let verdict = match self.verdict {
            RegressionVerdict::Holds => format!("within {allowed} of its baseline"),
            RegressionVerdict::Regressed => format!("more than {allowed} above its baseline"),
            RegressionVerdict::CannotJudge => {
                let others = self.others_cpu.map_or_else(String::new, |s| Unit::Fraction.format(s));
                format!("cannot be judged: other programs used {others} of the cores")
            }
            RegressionVerdict::NoBaseline => "has no baseline yet".to_owned(),
        };
        format!("{}: {verdict}; {}", self.operation, figures.join(", "))
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Baseline>, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let Value::Object(entries) = document else {
        return Err("an object of operations was expected".to_owned());
    };
    let read = |(name, figures): (String, Value)| {
        let seconds = |key: &str| match figures.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64().filter(|s| s.is_finite() && *s >= 0.0) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(format!("`{key}` of `{name}` is {value}; seconds were expected")),
            },
        };
        let wall_s = seconds("wall_time_s")?;
        let wall_s = wall_s.ok_or_else(|| format!("`{name}` has no `wall_time_s`"))?;
        let cpu_s = seconds("cpu_time_s")?;
        Ok((name, Baseline { wall_s, cpu_s }))
    };
    entries.into_iter().map(read).collect()
}

fn refused(path: &Path, reason: &str) -> WatchError {
    WatchError::Baselines { path: path.to_owned(), reason: shown(reason).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_decides_and_wall_time_only_on_a_quiet_machine() {
        use RegressionVerdict::{CannotJudge, Holds, NoBaseline, Regressed};
        let before = Some(Baseline { wall_s: 1.0, cpu_s: Some(1.0) });
        let cases = [
            (before, 1.1, Some(1.1), 0.0, Holds),
            (before, 1.3, Some(1.1), 0.0, Regressed),
            (before, 1.3, Some(1.1), 0.5, CannotJudge),
            (before, 1.3, Some(1.3), 0.5, Regressed),
            (before, 1.1, Some(1.3), 0.5, Regressed),
            (Some(Baseline { wall_s: 1.0, cpu_s: None }), 1.3, Some(9.0), 0.5, CannotJudge),
            (before, 1.2, Some(1.2), 0.0, Holds),
            (None, 1.0, None, 0.0, NoBaseline),
        ];
        for (baseline, wall_s, cpu_s, others, expected) in cases {
            let found = verdict(baseline, (wall_s, cpu_s), 0.2, Some(others));
            assert_eq!(found, expected, "{wall_s} {cpu_s:?} {others}");
        }
    }

    #[test]
    fn files_of_the_seed_document_are_read_and_others_refused_with_the_place() {
        let text = r#"{"a": {"wall_time_s": 2}, "b": {"wall_time_s": 1.5, "cpu_time_s": 3}}"#;
        let read = parse(text).unwrap();
        assert_eq!(read["a"], Baseline { wall_s: 2.0, cpu_s: None });
        assert_eq!(read["b"], Baseline { wall_s: 1.5, cpu_s: Some(3.0) });
        for (text, part) in [
            ("[]", "object of operations"),
            ("{", "no JSON"),
            (r#"{"a": {}}"#, "`a` has no `wall_time_s`"),
            (r#"{"a": {"wall_time_s": -1}}"#, "`wall_time_s` of `a` is -1"),
            (r#"{"a": {"wall_time_s": 1, "cpu_time_s": "x"}}"#, "`cpu_time_s` of `a`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
