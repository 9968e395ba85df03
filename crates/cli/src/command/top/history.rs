//! What the figures were before.

use std::collections::{BTreeMap, VecDeque};

use lob_metrics::Unit;
use lob_metrics::stats::{mann_kendall, theil_sen};

use super::view::{PROCESS_MEMORY, Row, Section};

/// Looks kept of each figure.
const KEPT: usize = 240;
/// Looks without which no trend is told.
const TREND_LOOKS: usize = 10;
/// Chance of a growth by luck up to which it is called one.
const TREND_P: f64 = 0.01;
/// Growth over the looks below which memory is steady: bytes, and a share of what there is.
const STEADY: (f64, f64) = (1_048_576.0, 0.02);

/// The numbers of each row, oldest first.
#[derive(Default)]
pub(super) struct History {
    rows: BTreeMap<(String, String), VecDeque<(f64, f64)>>,
}

impl History {
    /// Takes in what is shown at `t_s`. Rows that are gone are forgotten.
    pub(super) fn take_in(&mut self, t_s: f64, sections: &[Section]) {
        let key = |section: &Section, row: &Row| (section.title.clone(), row.name.clone());
        let mut rows = std::mem::take(&mut self.rows);
        for section in sections {
            for row in &section.rows {
                let Some(number) = row.number else { continue };
                let mut points = rows.remove(&key(section, row)).unwrap_or_default();
                if points.len() == KEPT {
                    points.pop_front();
                }
                points.push_back((t_s, number));
                self.rows.insert(key(section, row), points);
            }
        }
    }

    /// The last `n` values of a row, oldest first.
    pub(super) fn last(&self, section: &str, row: &str, n: usize) -> Vec<f64> {
        let points = self.points(section, row);
        let (_, values): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        values[values.len().saturating_sub(n)..].to_vec()
    }

    /// Adds to each process whether its memory grows.
    pub(super) fn add_trends(&self, sections: &mut [Section]) {
        for section in sections.iter_mut().filter(|s| s.title.starts_with("Process ")) {
            let memory = section.rows.iter().position(|row| row.name == PROCESS_MEMORY);
            let Some(memory) = memory else { continue };
            let row = trend(&self.points(&section.title, PROCESS_MEMORY));
            section.rows.insert(memory + 1, row);
        }
    }

    fn points(&self, section: &str, row: &str) -> Vec<(f64, f64)> {
        let points = self.rows.get(&(section.to_owned(), row.to_owned()));
        points.into_iter().flatten().copied().collect()
    }
}

/// Where memory is going: the median slope of all pairs of looks, if a growth by chance is unlikely.
fn trend(points: &[(f64, f64)]) -> Row {
    let name = "memory trend";
    if points.len() < TREND_LOOKS {
        return Row::new(name, format!("after {} of {TREND_LOOKS} looks", points.len()));
    }
    let (t_s, bytes): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let last = bytes.last().copied().unwrap_or(0.0);
    let passed_s = t_s.last().zip(t_s.first()).map_or(0.0, |(last, first)| last - first);
    let is_likely = mann_kendall(&bytes).is_some_and(|trend| trend.p_value < TREND_P);
    let slope = theil_sen(&t_s, &bytes).map_or(0.0, |line| line.slope);
    let moved = slope * passed_s;
    if !is_likely || moved.abs() < STEADY.0.max(STEADY.1 * last) {
        return Row::new(name, "steady".to_owned());
    }
    let sign = if slope < 0.0 { "-" } else { "+" };
    let per_min = Unit::Bytes.format(slope.abs() * 60.0);
    Row { alarming: slope > 0.0, ..Row::new(name, format!("{sign}{per_min}/min")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(values: impl Iterator<Item = f64>) -> (History, Vec<Section>) {
        let mut history = History::default();
        let mut sections = Vec::new();
        for (n, value) in values.enumerate() {
            let row = Row { number: Some(value), ..Row::new(PROCESS_MEMORY, String::new()) };
            sections = vec![Section { title: "Process 7".to_owned(), rows: vec![row] }];
            history.take_in(n as f64, &sections);
        }
        (history, sections)
    }

    fn told(values: impl Iterator<Item = f64>) -> (String, bool) {
        let (history, mut sections) = memory(values);
        history.add_trends(&mut sections);
        let row = &sections[0].rows[1];
        (row.value.clone(), row.alarming)
    }

    #[test]
    fn memory_that_grows_is_told_from_memory_that_wavers() {
        let mib = 1_048_576.0;
        // A mebibyte a second.
        let growing = told((0..40).map(|n| (100.0 + f64::from(n)) * mib));
        assert_eq!(growing, ("+60.0 MiB/min".to_owned(), true));
        let falling = told((0..40).map(|n| (100.0 - f64::from(n)) * mib));
        assert_eq!(falling, ("-60.0 MiB/min".to_owned(), false));
        let steady = ("steady".to_owned(), false);
        assert_eq!(told((0..40).map(|n| (100.0 + f64::from(n % 7)) * mib)), steady);
        assert_eq!(told((0..40).map(|n| 100.0 * mib + f64::from(n) * 100.0)), steady, "bytes");
        assert_eq!(told((0..4).map(f64::from)).0, "after 4 of 10 looks");
    }

    #[test]
    fn only_the_last_looks_are_kept_and_what_is_gone_is_forgotten() {
        let (mut history, _) = memory((0..1000).map(f64::from));
        assert_eq!(history.last("Process 7", PROCESS_MEMORY, 3), [997.0, 998.0, 999.0]);
        assert_eq!(history.last("Process 7", PROCESS_MEMORY, 9999).len(), KEPT);
        assert!(history.last("Process 8", PROCESS_MEMORY, 3).is_empty());
        history.take_in(1000.0, &[]);
        assert!(history.last("Process 7", PROCESS_MEMORY, 3).is_empty());
    }
}
