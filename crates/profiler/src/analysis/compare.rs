//! Several runs side by side: architectures, learning rates, training and inference.

use lob_metrics::Unit;

/// The figures of one run; `None` where one was not measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunFigures {
    /// Name, such as `simple_training` or `lr_0.01`.
    pub name: String,
    /// Wall time in seconds.
    pub time_s: Option<f64>,
    /// Peak memory in bytes.
    pub memory_bytes: Option<f64>,
    /// Floating-point operations.
    pub flops: Option<f64>,
    /// Samples per second.
    pub samples_per_s: Option<f64>,
    /// Accuracy reached, 0..=1.
    pub accuracy: Option<f64>,
}

impl RunFigures {
    /// Accuracy per second of training; `None` where one of the two was not measured.
    #[must_use]
    pub fn efficiency(&self) -> Option<f64> {
        let efficiency = self.accuracy? / self.time_s?;
        efficiency.is_finite().then_some(efficiency)
    }

    /// How many times as fast this run went through its samples as `other`, such as inference
    /// against training.
    #[must_use]
    pub fn times_as_fast_as(&self, other: &Self) -> Option<f64> {
        let ratio = self.samples_per_s? / other.samples_per_s?;
        ratio.is_finite().then_some(ratio)
    }
}

/// Sorts by samples per second, most first; runs without that figure come last, in their order.
pub fn rank_by_throughput(runs: &mut [RunFigures]) {
    let rate = |run: &RunFigures| run.samples_per_s.filter(|rate| rate.is_finite());
    runs.sort_by(|a, b| match (rate(a), rate(b)) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
}

/// The runs as a Markdown table; what was not measured says so.
#[must_use]
pub fn comparison_table(runs: &[RunFigures]) -> String {
    let mut out = "| run | time | memory | FLOP | samples/s | accuracy | accuracy/s |\n\
                   |---|---|---|---|---|---|---|\n"
        .to_owned();
    let cell = |value: Option<f64>, unit: Unit| {
        value.map_or("not measured".to_owned(), |value| unit.format(value))
    };
    for run in runs {
        let plain = |value: Option<f64>| cell(value, Unit::Dimensionless);
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            run.name.replace('|', "\\|").replace('\n', " "),
            cell(run.time_s, Unit::Seconds),
            cell(run.memory_bytes, Unit::Bytes),
            plain(run.flops),
            plain(run.samples_per_s),
            cell(run.accuracy, Unit::Fraction),
            plain(run.efficiency()),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, samples_per_s: Option<f64>) -> RunFigures {
        RunFigures { name: name.to_owned(), samples_per_s, ..RunFigures::default() }
    }

    #[test]
    fn the_fastest_comes_first_and_the_unmeasured_last() {
        let mut runs = [
            run("x", None),
            run("slow", Some(1.0)),
            run("nan", Some(f64::NAN)),
            run("fast", Some(9.0)),
        ];
        rank_by_throughput(&mut runs);
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["fast", "slow", "x", "nan"]);
        assert_eq!(runs[0].times_as_fast_as(&runs[1]), Some(9.0));
        assert_eq!(runs[0].times_as_fast_as(&runs[2]), None);
    }

    #[test]
    fn efficiency_needs_both_figures() {
        let mut figures = run("lr_0.01", None);
        assert_eq!(figures.efficiency(), None);
        (figures.accuracy, figures.time_s) = (Some(0.8), Some(4.0));
        assert_eq!(figures.efficiency(), Some(0.2));
        let table = comparison_table(&[figures]);
        assert!(table.contains("| lr_0.01 | 4.00 s | not measured |"), "{table}");
    }
}
