//! The table in sentences.

use super::{Budget, Comparison, EvaluationTable, Features, Method, Verdict};

impl EvaluationTable {
    /// What the table says in sentences, losses of the trained features first.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut out = Vec::new();
        for task in &self.tasks {
            out.extend(self.against_others(&task.name));
            out.extend(self.added_sentence(&task.name));
        }
        out.extend(self.past_sentences());
        for row in self.rows.iter().filter(|row| row.n_unclassed > 0) {
            out.push(format!(
                "{}, {} labels, {}: {} test windows got no class from {}, since a score was no \
                 number; they count as wrong",
                row.task,
                row.labels,
                row.method.name(),
                row.n_unclassed,
                row.features.name()
            ));
        }
        if let Some(row) = self.rows.iter().find(|row| row.ci95.is_none()) {
            out.push(format!(
                "{}: {} independent blocks of time in the test part are too few for an interval; \
                 no difference can be told from chance",
                row.task, row.n_blocks
            ));
        }
        if self.n_models < 2 {
            out.push(
                "one trained model: the intervals hold the test part, and nothing of what another \
                 seed of training would change"
                    .to_owned(),
            );
        }
        out.push(
            "a class that features tell apart is no forecast of prices: costs, latency and other \
             market states are not in this table"
                .to_owned(),
        );
        out
    }

    fn against_others(&self, task: &str) -> Vec<String> {
        let own = [Method::Logistic, Method::Knn]
            .map(|method| self.row(task, Features::Contrastive, method));
        let sentence = |own: &super::EvaluationRow| {
            let Some([low, _]) = own.ci95 else {
                return format!(
                    "{task}, {}: trained features score {:.3} (chance {:.3}); {} independent \
                     windows are too few to say what they win or lose against",
                    own.method.name(),
                    own.mean,
                    own.chance,
                    own.n_independent
                );
            };
            let by = |wanted: Verdict| {
                let is = |c: &&Comparison| {
                    c.task == task
                        && (c.labels, c.own) == (Budget::All, own.method)
                        && c.difference.verdict == Some(wanted)
                };
                let name = |c: &Comparison| {
                    let how = match c.method {
                        Method::Network => " by a network",
                        _ => "",
                    };
                    format!("{}{how} ({:+.3})", c.features.name(), c.difference.mean)
                };
                let names: Vec<_> = self.comparisons.iter().filter(is).map(name).collect();
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            };
            let chance = if low > own.chance { "above chance" } else { "not clearly above chance" };
            format!(
                "{task}, {}: trained features score {:.3} ({chance}, {:.3}; {} independent \
                 windows); they lose to {}; no clear difference to {}; they beat {}",
                own.method.name(),
                own.mean,
                own.chance,
                own.n_independent,
                by(Verdict::Worse),
                by(Verdict::NoDifference),
                by(Verdict::Better),
            )
        };
        own.into_iter().flatten().map(sentence).collect()
    }

    fn added_sentence(&self, task: &str) -> Option<String> {
        let added = self.added_value(task, Budget::All)?;
        let [low, high] = added.difference.ci95?;
        let says = match added.difference.verdict? {
            Verdict::Better => "adds to",
            Verdict::NoDifference => "adds nothing that can be told from chance to",
            Verdict::Worse => "takes from",
        };
        Some(format!(
            "{task}: the embedding {says} {} ({:+.3} [{low:+.3}, {high:+.3}])",
            added.over.name(),
            added.difference.mean
        ))
    }

    /// Tasks that one number of the past answers as well as the window does.
    fn past_sentences(&self) -> Vec<String> {
        let sentence = |task: &super::TaskNote| {
            let past = self.row(&task.name, Features::PastValue, Method::Logistic)?;
            let [low, _] = past.ci95?;
            (low > past.chance).then(|| {
                format!(
                    "{}: one number of the window's past, {}, scores {:.3} already",
                    task.name, task.past, past.mean
                )
            })
        };
        self.tasks.iter().filter_map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Difference, EvaluationRow, TaskNote};
    use super::*;

    fn row(features: Features, mean: f64, ci95: Option<[f64; 2]>) -> EvaluationRow {
        EvaluationRow {
            task: "regime".into(),
            labels: Budget::All,
            features,
            method: Method::Logistic,
            n_windows: [9, 9, 9],
            n_independent: 7,
            n_blocks: 6,
            scores: vec![mean],
            mean,
            ci95,
            chance: 0.33,
            macro_f1: mean,
            mcc: None,
            recalls: vec![],
            confusion: vec![],
            n_unclassed: if features == Features::Raw { 21 } else { 0 },
        }
    }

    fn table(difference: f64, ci95: Option<[f64; 2]>) -> EvaluationTable {
        let difference = Difference { mean: difference, ci95, verdict: ci95.and_then(Verdict::of) };
        EvaluationTable {
            seeds: 3,
            n_models: 1,
            tasks: vec![TaskNote {
                name: "regime".into(),
                description: "made up".into(),
                past: "the last change".into(),
            }],
            rows: vec![
                row(Features::Contrastive, 0.4, ci95),
                row(Features::Raw, 0.6, ci95),
                row(Features::PastValue, 0.5, Some([0.4, 0.6])),
            ],
            comparisons: vec![Comparison {
                task: "regime".into(),
                labels: Budget::All,
                own: Method::Logistic,
                features: Features::Raw,
                method: Method::Logistic,
                difference,
            }],
            added: vec![],
            calibration: vec![],
        }
    }

    #[test]
    fn a_loss_is_called_a_loss() {
        let losing = table(-0.2, Some([-0.3, -0.1])).findings();
        assert!(losing[0].contains("they lose to raw (-0.200)"), "{losing:?}");
        assert!(losing[0].contains("not clearly above chance"));
        let says = |text: &str| losing.iter().any(|finding| finding.contains(text));
        assert!(says("21 test windows got no class from raw"), "{losing:?}");
        assert!(says("one number of the window's past, the last change, scores 0.500"));
        assert!(says("one trained model"));
        assert!(losing.last().unwrap().contains("no forecast of prices"));
        assert!(table(0.2, Some([0.1, 0.3])).findings()[0].contains("they beat raw (+0.200)"));
        let unclear = table(0.2, Some([-0.1, 0.3])).findings();
        assert!(unclear[0].contains("no clear difference to raw (+0.200)"));
    }

    #[test]
    fn without_an_interval_nothing_is_said() {
        for ci95 in [None, Some([f64::NAN, 0.3])] {
            let unknown = table(0.2, ci95);
            let found = unknown.against("regime", Features::Raw, Method::Logistic).unwrap();
            assert_eq!(found.verdict, None);
        }
        let findings = table(0.2, None).findings();
        assert!(
            findings.iter().any(|f| f.contains("6 independent blocks of time")),
            "{findings:?}"
        );
    }
}
