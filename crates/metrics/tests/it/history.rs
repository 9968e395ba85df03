//! Runs as lines of a history.

use lob_fixtures::sample_run;
use lob_metrics::{Direction, HistoryEntry, Measurement, REFERENCE, Unit, read_history, trends};

/// A run of one scenario on a machine `load` times as slow as it should be.
fn entry(work_s: f64, load: f64) -> HistoryEntry {
    let mut run = sample_run();
    run.scenarios.truncate(1);
    let id = run.scenarios[0].id.clone();
    let lower = Direction::LowerIsBetter;
    run.scenarios[0].measurements = vec![
        Measurement::measured("work", Unit::Seconds, lower, &[work_s * load]),
        Measurement::measured(
            "rate",
            Unit::SamplesPerSecond,
            Direction::HigherIsBetter,
            &[1.0 / (work_s * load)],
        ),
        Measurement::measured("memory", Unit::Bytes, lower, &[1e6]),
        Measurement::measured(
            &format!("{id}.{REFERENCE}"),
            Unit::Seconds,
            Direction::Neutral,
            &[0.001 * load],
        ),
    ];
    HistoryEntry::of(&run)
}

#[test]
fn a_slower_machine_moves_the_values_and_not_the_ratios() {
    let (fast, slow) = (entry(0.2, 1.0), entry(0.2, 3.0));
    for name in ["convert.bins work", "convert.bins rate"] {
        let (a, b) = (fast.metrics[name], slow.metrics[name]);
        assert!((a.value / b.value - 1.0).abs() > 0.5);
        assert!((a.ratio.unwrap() / b.ratio.unwrap() - 1.0).abs() < 1e-12);
    }
    assert_eq!(fast.metrics["convert.bins memory"].ratio, None);
    assert!(!fast.metrics.contains_key("convert.bins convert.bins.reference"));
}

#[test]
fn lines_read_back_and_a_broken_one_is_named() {
    let text = entry(0.2, 1.0).to_line().unwrap() + "\n" + &entry(0.3, 1.0).to_line().unwrap();
    assert_eq!(read_history(&text).unwrap(), [entry(0.2, 1.0), entry(0.3, 1.0)]);
    let half = &text[..text.len() - 20];
    let error = read_history(half).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    let other = text.replace("\"history_version\":1", "\"history_version\":9");
    assert!(read_history(&other).unwrap_err().to_string().contains("`9`"));
}

#[test]
fn a_change_of_level_is_seen_through_the_load_of_the_machine() {
    // The machine is up to twice as slow by chance; from the twelfth run on the work is 10 %
    // slower.
    let load = |i: u32| 1.0 + f64::from(i * 7 % 10) / 10.0;
    let jitter = |i: u32| 1.0 + f64::from(i * 3 % 5) / 1000.0;
    let entries: Vec<HistoryEntry> =
        (0..24).map(|i| entry(jitter(i) * if i < 12 { 0.2 } else { 0.22 }, load(i))).collect();
    let found = trends(&entries);
    for name in ["convert.bins work", "convert.bins rate"] {
        let line = found.iter().find(|t| t.name == name).unwrap();
        let change = line.change.expect(name);
        assert_eq!((change.index, line.is_worse()), (12, Some(true)), "{name}");
        assert_eq!(line.values.len(), 24);
    }
    let memory = found.iter().find(|t| t.name == "convert.bins memory").unwrap();
    assert_eq!((memory.change, memory.is_worse()), (None, None));
    assert!(trends(&[]).is_empty());
}
