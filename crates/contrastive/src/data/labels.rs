use lob_store::{LabelKind, LabelUnit, NamedLabel, Store};

use super::cuts::{Cuts, embargo_rows, reach, updates_a_bin};
use crate::{BinSeries, ContrastiveError, Task, TimeSplit};

/// Classes of a value: thirds of the training windows. What is no finite number has none, and
/// nothing has one where no training window has a value.
pub(super) fn thirds(values: &[Option<f64>], train: &[usize]) -> Vec<Option<u32>> {
    let number = |value: &Option<f64>| value.filter(|x| x.is_finite());
    let mut known: Vec<f64> = train.iter().filter_map(|&idx| number(&values[idx])).collect();
    known.sort_by(f64::total_cmp);
    let edge = |k: usize| known.get(known.len() * k / 3).copied();
    let Some((low, high)) = edge(1).zip(edge(2)) else { return vec![None; values.len()] };
    let class = |value: f64| u32::from(value >= low) + u32::from(value >= high);
    values.iter().map(|value| number(value).map(class)).collect()
}

/// Realised volatility over `rows` of one segment: root of the sum of squared changes of the mid,
/// in price steps; `None` where the rows leave the series or the segment of the first one.
pub(super) fn volatility(series: &BinSeries, rows: std::ops::Range<usize>) -> Option<f64> {
    let before = rows.start.checked_sub(1)?;
    let segments = series.segments.get(before..rows.end)?;
    let is_whole = segments.first() == segments.last();
    let mids = &series.rows[before..rows.end];
    let squares = mids.windows(2).map(|pair| (pair[1].mid_steps - pair[0].mid_steps).powi(2));
    is_whole.then(|| squares.sum::<f64>().sqrt())
}

/// Realised volatility inside the window of so many rows that ends before `end`.
fn volatility_before(series: &BinSeries, end: usize, rows: usize) -> Option<f64> {
    volatility(series, (end.checked_sub(rows)? + 1)..end)
}

/// Change of the mid over the last `rows` rows before `end`, in price steps.
fn change_before(series: &BinSeries, end: usize, rows: usize) -> Option<f64> {
    let (last, first) = (end.checked_sub(1)?, end.checked_sub(1 + rows)?);
    let is_whole = series.segments.get(first)? == series.segments.get(last)?;
    is_whole.then(|| series.rows[last].mid_steps - series.rows[first].mid_steps)
}

/// The last mid less the mean of the mids of the last `rows` rows before `end`, in price steps.
#[expect(clippy::cast_precision_loss, reason = "rows of a window")]
fn above_mean(series: &BinSeries, end: usize, rows: usize) -> Option<f64> {
    let mids = series.rows.get(end.checked_sub(rows.max(1))?..end)?;
    let mean = mids.iter().map(|row| row.mid_steps).sum::<f64>() / mids.len() as f64;
    mids.last().map(|row| row.mid_steps - mean)
}

/// Where windows of bins are, and what there is to ask of them.
pub(super) struct Asked<'a> {
    pub(super) store: &'a Store,
    pub(super) series: &'a BinSeries,
    /// The series row after each window's last one.
    pub(super) ends: &'a [Option<usize>],
    pub(super) window: usize,
    pub(super) split: &'a TimeSplit,
}

/// Values of a question by window, before they are classes.
struct Question {
    name: String,
    description: String,
    values: Vec<Option<f64>>,
    classes: Classes,
    reach: usize,
    past: (Vec<Option<f64>>, String),
}

enum Classes {
    /// Thirds of the training windows.
    Thirds,
    /// Below, within and above a threshold around 0: the first third of the sizes of the training
    /// windows' values.
    Signs,
    /// So many, known of each window.
    Known(u32, Vec<Option<u32>>),
}

impl Asked<'_> {
    /// What features of the windows are asked, nothing where no part is cut: every label of the
    /// store by its name, and of a store without labels that look forward the mid some bins later;
    /// the volatility to come.
    pub(super) fn tasks(
        &self,
        cuts: Option<Cuts>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Task>, ContrastiveError> {
        if cuts.is_none() {
            return Ok(Vec::new());
        }
        let mut questions = Vec::new();
        let labels = self.labels();
        let is_forward = |label: &&NamedLabel| label.kind == LabelKind::Forward;
        if !labels.iter().any(|label| is_forward(&label)) {
            // No further than the embargo, or a class of training would depend on what comes after.
            let most = embargo_rows(self.store, self.window);
            let horizons = [3, 10, 50].into_iter().filter(|horizon| *horizon <= most);
            questions.extend(horizons.map(|horizon| self.forward(horizon)));
        }
        for label in labels.iter().filter(|label| label.kind != LabelKind::Reversal) {
            questions.push(self.stored(label)?);
        }
        questions.push(self.volatility_to_come());
        for label in labels.iter().filter(|label| label.kind == LabelKind::Reversal) {
            questions.push(self.stored(label)?);
        }
        Ok(questions.into_iter().filter_map(|question| self.task(question, notes)).collect())
    }

    /// Every label that a file has, by name.
    fn labels(&self) -> Vec<NamedLabel> {
        let mut out: Vec<NamedLabel> = Vec::new();
        for label in self.store.files().iter().flat_map(|file| &file.meta().labels) {
            if out.iter().all(|other| other.name != label.name) {
                out.push(label.clone());
            }
        }
        out
    }

    fn by_window<T>(&self, of: impl Fn(usize) -> Option<T>) -> Vec<Option<T>> {
        self.ends.iter().map(|end| end.and_then(&of)).collect()
    }

    fn forward(&self, horizon: usize) -> Question {
        let ahead = |end: usize| change_before(self.series, end + horizon, horizon);
        Question {
            name: format!("forward_{horizon}"),
            description: format!(
                "down, unchanged or up: the mid {horizon} bins later against the last mid"
            ),
            values: self.by_window(ahead),
            classes: Classes::Signs,
            reach: horizon,
            past: self.past_change(horizon),
        }
    }

    /// The mid's change over as many bins as the label looks forward, as far as the window goes.
    fn past_change(&self, horizon: usize) -> (Vec<Option<f64>>, String) {
        let rows = horizon.clamp(1, self.window.saturating_sub(1).max(1));
        let past = self.by_window(|end| change_before(self.series, end, rows));
        (past, format!("the mid's change over the last {rows} bins"))
    }

    fn past_volatility(&self, rows: usize) -> (Vec<Option<f64>>, String) {
        let rows = rows.clamp(2, self.window.max(2));
        let past = self.by_window(|end| volatility_before(self.series, end, rows));
        (past, format!("the realised volatility of the last {rows} bins"))
    }

    fn volatility_to_come(&self) -> Question {
        let window = self.window;
        Question {
            name: format!("next_volatility_{window}"),
            description: format!(
                "third of the realised volatility of the {window} bins that follow (thirds of the \
                 training windows)"
            ),
            values: self.by_window(|end| volatility(self.series, end..end + window)),
            classes: Classes::Thirds,
            reach: window,
            past: self.past_volatility(window),
        }
    }

    /// A label of the store at each window's last bin.
    fn stored(&self, label: &NamedLabel) -> Result<Question, ContrastiveError> {
        let (values, classes) = self.label_at_rows(label)?;
        let known = || {
            self.by_window(|end| {
                let wait_ns = values[end.checked_sub(1)?].unwrap_or(0.0);
                let is_kept = label.kind != LabelKind::NextChange || self.comes_soon(end, wait_ns);
                classes[end - 1].filter(|_| is_kept)
            })
        };
        let name = &label.name;
        let (reach, classes) = (self.bins(label), known());
        let values = self.by_window(|end| values[end.checked_sub(1)?]);
        let (description, classes, past) = match label.kind {
            LabelKind::Reversal => (
                "third of the stored movement around the window's last bin, which is no forecast: \
                 the mean of the mids after it against the mean before it (thirds of the training \
                 windows)"
                    .to_owned(),
                Classes::Thirds,
                self.past_reversal(label),
            ),
            LabelKind::TrueRegime => (
                format!(
                    "hidden regime of the synthetic market at the window's last update, stored \
                     label `{name}`: calm, normal, busy or stressed (the last two as one: stress is \
                     too rare and short for a class of its own)"
                ),
                Classes::Known(3, classes.into_iter().map(|c| c.map(|c| c.min(2))).collect()),
                self.past_of(name, reach),
            ),
            _ if label.classes > 1 => (
                format!("stored label `{name}`, {} classes{}", label.classes, rule(label)),
                Classes::Known(label.classes, classes),
                self.past_of(name, reach),
            ),
            LabelKind::Forward => (
                format!(
                    "down, unchanged or up: stored label `{name}`, the mid later against the last \
                     mid"
                ),
                Classes::Signs,
                self.past_change(reach),
            ),
            _ => (
                format!("third of the stored label `{name}` (thirds of the training windows)"),
                Classes::Thirds,
                self.past_of(name, reach),
            ),
        };
        Ok(Question { name: shown_name(label), description, values, classes, reach, past })
    }

    /// What of the past comes nearest to a label of this name.
    fn past_of(&self, name: &str, reach: usize) -> (Vec<Option<f64>>, String) {
        match name {
            _ if name.contains("volatility") => self.past_volatility(reach),
            _ if name.contains("regime") => self.past_volatility(16),
            _ if name.starts_with("next") => self.past_change(1),
            _ => self.past_change(if reach == 0 { 8 } else { reach }),
        }
    }

    /// The part of a reversal that is known: the last mid against the mean before it.
    fn past_reversal(&self, label: &NamedLabel) -> (Vec<Option<f64>>, String) {
        let before = self.store.files().iter().map(|file| file.meta().label.lookback).max();
        let updates = before.unwrap_or(0).max(label.horizon);
        let rows = updates.div_ceil(self.updates_a_bin());
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, self.window);
        let past = self.by_window(|end| above_mean(self.series, end, rows));
        (past, format!("the last mid less the mean of the last {rows} mids"))
    }

    fn updates_a_bin(&self) -> u64 {
        let of = self.store.files().iter().map(|file| updates_a_bin(file.meta(), file.len()));
        of.min().unwrap_or(1)
    }

    /// Bins after a row that its label depends on.
    fn bins(&self, label: &NamedLabel) -> usize {
        if matches!(label.unit, LabelUnit::MidChanges | LabelUnit::Trades) {
            // What comes later has no class here.
            return self.window;
        }
        let of = self.store.files().iter().map(|file| reach(file.meta(), file.len(), label));
        usize::try_from(of.max().unwrap_or(0)).unwrap_or(usize::MAX / 4)
    }

    /// Whether the event that a label waits so many nanoseconds for comes within a window.
    fn comes_soon(&self, end: usize, wait_ns: f64) -> bool {
        let ts = |row: usize| self.series.rows.get(row).map(|row| row.ts_event);
        let (Some(now), Some(then)) = (ts(end - 1), ts(end - 1 + self.window)) else {
            return false;
        };
        #[expect(clippy::cast_precision_loss, reason = "a pause is far below 2^52 ns")]
        let span = then.saturating_sub(now) as f64;
        then != u64::MAX && wait_ns <= span
    }

    /// Values and classes of a label by row of the series.
    #[expect(clippy::type_complexity, reason = "two columns")]
    fn label_at_rows(
        &self,
        label: &NamedLabel,
    ) -> Result<(Vec<Option<f64>>, Vec<Option<u32>>), ContrastiveError> {
        let n = self.series.rows.len();
        let (mut values, mut classes) = (vec![None; n], vec![None; n]);
        for (number, file) in self.store.files().iter().enumerate() {
            if file.meta().labels.iter().all(|other| other.name != label.name) {
                continue;
            }
            let failed = |source: lob_store::StoreError| ContrastiveError::Source {
                window: number,
                source: source.into(),
            };
            let stored = file.label_values(&label.name, 0..file.len()).map_err(failed)?;
            let rows = self.series.rows.iter().enumerate().filter(|(_, row)| row.file == number);
            for (at, row) in rows {
                let row = usize::try_from(row.row).unwrap_or(usize::MAX);
                values[at] = stored.value.get(row).copied().flatten();
                let class = stored.class.get(row).copied().flatten();
                classes[at] = class.and_then(|class| u32::try_from(class).ok());
            }
        }
        Ok((values, classes))
    }

    fn task(&self, question: Question, notes: &mut Vec<String>) -> Option<Task> {
        let Question { name, description, values, classes, reach, past } = question;
        let (n_classes, labels) = match classes {
            Classes::Thirds => (3, thirds(&values, &self.split.train)),
            Classes::Signs => (3, signs(&values, &self.split.train)),
            Classes::Known(n, classes) => {
                (n as usize, classes.into_iter().map(|c| c.filter(|&c| c < n)).collect())
            }
        };
        let n_found = |part: &[usize]| {
            let found = part.iter().filter_map(|&idx| labels[idx]);
            found.collect::<std::collections::BTreeSet<u32>>().len()
        };
        let split = self.split;
        let least = [&split.train, &split.validation, &split.test].map(|part| n_found(part));
        if least.iter().any(|&n| n < 2) {
            notes.push(format!("task `{name}` left out: classes in the parts {least:?}"));
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
        let single = |x: Option<f64>| x.map(|x| x as f32);
        let (past, past_description) = past;
        let past = past.into_iter().map(single).collect();
        Some(Task { name, description, n_classes, labels, reach, past, past_description })
    }
}

/// The name of a task: what a reversal was called before says too much of it.
fn shown_name(label: &NamedLabel) -> String {
    match label.kind {
        LabelKind::Reversal => "reversal".to_owned(),
        _ => label.name.clone(),
    }
}

/// How a label's classes were cut, in words.
fn rule(label: &NamedLabel) -> String {
    if label.fitted_on.is_empty() { String::new() } else { format!(", {}", label.fitted_on) }
}

/// 0 below, 1 within and 2 above a threshold around 0: the lower third of the sizes of the training
/// windows' values, which is 0 where a third of them are 0.
fn signs(values: &[Option<f64>], train: &[usize]) -> Vec<Option<u32>> {
    let number = |value: &Option<f64>| value.filter(|x| x.is_finite());
    let mut sizes: Vec<f64> =
        train.iter().filter_map(|&idx| number(&values[idx])).map(f64::abs).collect();
    sizes.sort_by(f64::total_cmp);
    let Some(&threshold) = sizes.get(sizes.len() / 3) else { return vec![None; values.len()] };
    let class = |value: f64| 1 + u32::from(value > threshold) - u32::from(value < -threshold);
    values.iter().map(|value| number(value).map(class)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BinRow;

    #[test]
    fn thirds_are_cut_on_the_training_windows_alone() {
        let values = [Some(1.0), Some(2.0), Some(3.0), Some(100.0), None, Some(-5.0)];
        let found = thirds(&values, &[0, 1, 2]);
        assert_eq!(found, [Some(0), Some(1), Some(2), Some(2), None, Some(0)]);
        let odd = [Some(1.0), Some(f64::NAN), Some(2.0), Some(3.0), Some(f64::INFINITY)];
        assert_eq!(thirds(&odd, &[0, 1, 2, 3]), [Some(0), None, Some(1), Some(2), None]);
        assert_eq!(thirds(&odd, &[1]), [None; 5], "no edges, no classes");
    }

    #[test]
    fn signs_are_cut_around_zero() {
        let values = [Some(0.0), Some(1.0), Some(-2.0), Some(3.0), Some(-0.5), None];
        // Sizes 0, 0.5, 1, 2, 3: the threshold is 0.5.
        let found = signs(&values, &[0, 1, 2, 3, 4]);
        assert_eq!(found, [Some(1), Some(2), Some(0), Some(2), Some(1), None]);
        let mostly_still = [Some(0.0), Some(0.0), Some(1.0), Some(-1.0), Some(f64::NAN)];
        let found = signs(&mostly_still, &[0, 1, 2, 3]);
        assert_eq!(found, [Some(1), Some(1), Some(2), Some(0), None]);
        assert_eq!(signs(&mostly_still, &[4]), [None; 5]);
    }

    #[test]
    fn volatility_stays_in_its_segment() {
        let mids = [10.0, 13.0, 17.0, 17.0, 18.0];
        let row = |mid_steps: f64| BinRow {
            file: 0,
            row: 0,
            ts_event: 0,
            mid_steps,
            movement: None,
            label: None,
        };
        let series = BinSeries {
            values: vec![],
            segments: vec![0, 0, 0, 1, 1],
            rows: mids.into_iter().map(row).collect(),
            n_skipped: 0,
        };
        assert_eq!(volatility(&series, 1..3), Some(5.0));
        assert_eq!(volatility(&series, 2..4), None);
        assert_eq!(volatility(&series, 0..2), None);
        assert_eq!(volatility(&series, 4..6), None);
        assert_eq!(volatility_before(&series, 3, 3), Some(5.0));
        assert_eq!(volatility_before(&series, 3, 4), None);
        assert_eq!(change_before(&series, 3, 2), Some(7.0));
        assert_eq!(change_before(&series, 4, 1), None);
        assert_eq!(change_before(&series, 9, 1), None);
        assert_eq!(above_mean(&series, 3, 2), Some(2.0));
        assert_eq!(above_mean(&series, 3, 4), None);
    }
}
