use std::sync::Arc;

use super::{PrepareOptions, Prepared, SHARES, parts_note};
use crate::{
    ContrastiveError, Mirror, Origin, Positives, SeriesWindows, SignalKind, SignalSpec, Task,
    TimeSplit, WindowSource, generate_signals,
};

/// Signals have nothing in common in time: whole signals are kept apart instead.
pub(super) fn prepare(
    spec: &SignalSpec,
    window: usize,
    stride: usize,
    options: &PrepareOptions,
) -> Result<Prepared, ContrastiveError> {
    let signals = generate_signals(spec)?;
    let channels = vec![Mirror::Keep; spec.n_channels];
    let part_of = |signal: u32| part(signal, spec.n_signals);
    let scale = match &options.scale {
        Some(scale) => scale.clone(),
        None => {
            let rows = 0..signals.segments.len();
            let rows: Vec<usize> =
                rows.filter(|&row| part_of(signals.segments[row]) == 0).collect();
            SeriesWindows::fit_scale(&signals.values, &channels, &rows)?
        }
    };
    let segments = &signals.segments;
    let whole = SeriesWindows::with_scale(
        signals.values,
        channels,
        segments,
        scale.clone(),
        (window, stride),
        Positives::Same,
    )?;
    let starts: Vec<usize> = (0..whole.len()).filter_map(|idx| whole.start_row(idx)).collect();
    let of = |wanted: usize| {
        (0..starts.len()).filter(|&idx| part_of(segments[starts[idx]]) == wanted).collect()
    };
    let split = TimeSplit { train: of(0), validation: of(1), test: of(2) };
    let mut notes = vec![parts_note(&split, starts.len(), "whole signals are kept apart")];
    let labels: Vec<Option<u32>> = starts
        .iter()
        .map(|&start| signals.classes.get(segments[start] as usize).copied())
        .collect();
    let tasks: Vec<Task> = task(spec.kind, labels).into_iter().collect();
    if tasks.is_empty() {
        notes.push("white noise has one class: nothing to evaluate".into());
    }
    let paired = whole.clone().with_positives(options.positives)?;
    let part = |wanted: usize| {
        let paired = paired.clone();
        paired.retained(|row| part_of(segments[row]) == wanted)
    };
    let origins = starts.iter().map(|&start| {
        let file = segments[start] as usize;
        let row = (start - file * spec.n_rows) as u64;
        Origin { file, row, ts_first: None, ts_event: None, instrument_id: None }
    });
    Ok(Prepared {
        train: Arc::new(part(0)?),
        validation: Some(Arc::new(part(1)?)),
        origins: origins.collect(),
        whole: Arc::new(whole),
        split,
        tasks,
        scale,
        data: None,
        window,
        facts: None,
        cuts: None,
        trained: None,
        inputs: (0..spec.n_channels).map(|channel| format!("signal_{channel}")).collect(),
        notes,
    })
}

/// What there is to tell of generated signals.
fn task(kind: SignalKind, labels: Vec<Option<u32>>) -> Option<Task> {
    let what = match kind {
        SignalKind::Simple => return None,
        SignalKind::Mixed => {
            "kind of the generated signal: noise, one sine, three sines and a trend"
        }
        _ => "third that the main frequency of the generated signal lies in",
    };
    Some(Task {
        name: "signal_class".into(),
        description: what.into(),
        n_classes: 3,
        labels,
        reach: 0,
        past: Vec::new(),
        past_description: String::new(),
    })
}

/// 0, 1 or 2 for training, validation, test: by position among the signals.
#[expect(clippy::cast_precision_loss, reason = "a count of signals")]
fn part(signal: u32, n_signals: usize) -> usize {
    let place = (f64::from(signal) + 0.5) / n_signals as f64;
    usize::from(place >= SHARES[0]) + usize::from(place >= SHARES[0] + SHARES[1])
}
