use crate::{BinSeries, Task, TimeSplit};

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

/// What features of windows of bins are asked: `ends` has the series row after each window's last
/// one.
pub(super) fn bin_tasks(
    series: &BinSeries,
    ends: &[Option<usize>],
    window: usize,
    split: &TimeSplit,
    notes: &mut Vec<String>,
) -> Vec<Task> {
    let of = |f: &dyn Fn(usize) -> Option<f64>| -> Vec<Option<f64>> {
        ends.iter().map(|end| end.and_then(f)).collect()
    };
    let ahead = of(&|end| volatility(series, end..end + window));
    let movement = of(&|end| series.rows.get(end.checked_sub(1)?)?.movement);
    let named = [
        (
            "regime",
            "third of the realised volatility of the window that follows (the market's hidden \
             regime is not stored; thirds of the training windows)",
            ahead,
        ),
        (
            "movement",
            "third of the stored price movement around the window's last bin (mean of the mids \
             after it against the mean before; thirds of the training windows)",
            movement,
        ),
    ];
    let mut tasks = Vec::new();
    for (name, description, values) in named {
        let labels = thirds(&values, &split.train);
        let n_classes = |part: &[usize]| {
            let found = part.iter().filter_map(|&idx| labels[idx]);
            found.collect::<std::collections::BTreeSet<u32>>().len()
        };
        let least = [&split.train, &split.validation, &split.test].map(|p| n_classes(p));
        if least.contains(&0) || least.contains(&1) {
            notes.push(format!("task `{name}` left out: classes in the parts {least:?}"));
            continue;
        }
        let description = description.to_owned();
        tasks.push(Task { name: name.to_owned(), description, n_classes: 3, labels });
    }
    tasks
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
    }
}
