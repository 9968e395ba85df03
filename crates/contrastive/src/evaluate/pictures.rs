//! The table as small data that a report draws.

use lob_metrics::{Artifact, Direction, IntervalGroup, IntervalRow, Measurement, NamedCurve, Unit};

use super::{Budget, Calibration, EvaluationRow, EvaluationTable, Features, Method};

impl EvaluationTable {
    /// Estimates with their intervals, added value, label budgets, confusion and calibration of
    /// each task.
    #[must_use]
    pub fn artifacts(&self) -> Vec<Artifact> {
        let mut out = vec![self.scores()];
        out.extend(self.added_value_picture());
        for task in &self.tasks {
            out.extend(self.budgets(&task.name));
            out.extend(self.confusion(&task.name));
        }
        out.extend(self.calibration.iter().map(calibration));
        out
    }

    /// The scores with all labels: a value for each model or untrained encoder.
    #[must_use]
    pub fn measurements(&self) -> Vec<Measurement> {
        let measurement = |row: &EvaluationRow| {
            let (task, features) = (&row.task, row.features.name());
            let metric = format!("evaluation.{task}.{}.{features}", row.method.name());
            let direction = match row.features {
                Features::Contrastive => Direction::HigherIsBetter,
                // A baseline is what it is.
                _ => Direction::Neutral,
            };
            Measurement::measured(&metric, Unit::Fraction, direction, &row.scores)
        };
        self.rows.iter().filter(|row| row.labels == Budget::All).map(measurement).collect()
    }

    /// For each task, budget and read-out every kind of features with its interval.
    fn scores(&self) -> Artifact {
        let mut groups: Vec<IntervalGroup> = Vec::new();
        for row in &self.rows {
            let name = match row.labels {
                Budget::All => format!("{}, {}", row.task, row.method.name()),
                Budget::Labels(n) => format!("{}, {}, {n} labels", row.task, row.method.name()),
            };
            let name_of = row.features.name().to_owned();
            let own = IntervalRow { name: name_of, value: row.mean, ci95: row.ci95 };
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.rows.push(own),
                None => {
                    let reference = Some(row.chance);
                    groups.push(IntervalGroup { name, reference, rows: vec![own] });
                }
            }
        }
        Artifact::Intervals {
            title: "Accuracy on later windows; intervals over blocks of time; reference: chance"
                .to_owned(),
            x_label: "balanced accuracy".to_owned(),
            groups,
        }
    }

    /// What the embedding adds to the best hand-made features: a forest plot around 0.
    fn added_value_picture(&self) -> Option<Artifact> {
        let group = |task: &super::TaskNote| IntervalGroup {
            name: task.name.clone(),
            reference: Some(0.0),
            rows: self
                .added
                .iter()
                .filter(|added| added.task == task.name)
                .map(|added| IntervalRow {
                    name: format!("{} labels, over {}", added.labels, added.over.name()),
                    value: added.difference.mean,
                    ci95: added.difference.ci95,
                })
                .collect(),
        };
        let groups: Vec<_> =
            self.tasks.iter().map(group).filter(|group| !group.rows.is_empty()).collect();
        (!groups.is_empty()).then(|| Artifact::Intervals {
            title: "What the embedding adds to the best hand-made features".to_owned(),
            x_label: "difference of balanced accuracy".to_owned(),
            groups,
        })
    }

    /// Accuracy over the number of labels, with intervals.
    #[expect(clippy::cast_precision_loss, reason = "a number of labels")]
    fn budgets(&self, task: &str) -> Option<Artifact> {
        let of = |features: Features, method: Method| {
            let rows: Vec<&EvaluationRow> = self
                .rows
                .iter()
                .filter(|row| row.task == task && (row.features, row.method) == (features, method))
                .collect();
            let name = match method {
                Method::Network => format!("{}, network", features.name()),
                _ => features.name().to_owned(),
            };
            (rows.len() > 1).then(|| NamedCurve {
                name,
                x: rows.iter().map(|row| row.n_windows[0] as f64).collect(),
                y: rows.iter().map(|row| row.mean).collect(),
                ci95: rows.iter().map(|row| row.ci95).collect(),
            })
        };
        // One number of the past needs few labels whatever it is; without it each has its colour.
        let shown = Features::ALL.into_iter().filter(|f| *f != Features::PastValue);
        let logistic = shown.map(|features| (features, Method::Logistic));
        let all = logistic.chain([(Features::HandStatistics, Method::Network)]);
        let curves: Vec<_> = all.filter_map(|(features, method)| of(features, method)).collect();
        (!curves.is_empty()).then(|| Artifact::Curves {
            title: format!("Labels that {task} needs"),
            x_label: "labels".to_owned(),
            y_label: "balanced accuracy".to_owned(),
            log_x: true,
            curves,
        })
    }

    /// Shares of each true class that the trained features' regression puts into each.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn confusion(&self, task: &str) -> Option<Artifact> {
        let row = self.row(task, Features::Contrastive, Method::Logistic)?;
        let names: Vec<String> = (0..row.confusion.len()).map(|class| class.to_string()).collect();
        let shares = |counts: &Vec<u64>| -> Vec<f64> {
            let all = counts.iter().sum::<u64>();
            counts.iter().map(|&n| if all > 0 { n as f64 / all as f64 } else { f64::NAN }).collect()
        };
        Some(Artifact::Matrix {
            title: format!("Confusion of {task}"),
            row_label: "true class".to_owned(),
            column_label: "predicted class".to_owned(),
            row_names: names.clone(),
            column_names: names,
            values: row.confusion.iter().flat_map(shares).collect(),
        })
    }
}

fn calibration(found: &Calibration) -> Artifact {
    let x: Vec<f64> = found.bins.iter().map(|bin| bin.probability).collect();
    let y = found.bins.iter().map(|bin| bin.right).collect();
    let ends = [x.first().copied().unwrap_or(0.0), x.last().copied().unwrap_or(1.0)];
    Artifact::Curves {
        title: format!("Calibration of {}", found.task),
        x_label: "probability given to the predicted class".to_owned(),
        y_label: format!("share that was right, off by {:.3} on average", found.error),
        log_x: false,
        curves: vec![
            NamedCurve::plain("contrastive", x, y),
            NamedCurve::plain("as promised", ends.to_vec(), ends.to_vec()),
        ],
    }
}
