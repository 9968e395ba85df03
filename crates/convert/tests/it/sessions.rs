//! Days that begin at another time than midnight UTC.

use lob_convert::{ConvertConfig, DayStart, Inspection, Layout, Shard, convert, inspect};
use lob_store::Store;

use crate::{
    made::{DAY_1, DAY_NS, SECOND_NS, books_of, updates},
    small, tree,
};

const HOUR_NS: u64 = 3_600 * SECOND_NS;

fn config(out: std::path::PathBuf, layout: Layout, start: &str) -> ConvertConfig {
    let mut config = small(out);
    config.layout = layout;
    (config.label.lookback, config.label.lookforward, config.label.offset) = (10, 10, 0);
    config.day_start_ns = start.parse::<DayStart>().unwrap().ns();
    config
}

/// Two sessions of 17:00 to 16:00 in Chicago's summer, each with 40 updates around midnight UTC
/// and 20 at both ends.
fn sessions() -> Vec<dbn::Mbp10Msg> {
    let session = |midnight: u64| {
        let at = |ts| updates(17, ts, 20, 18_800);
        let around = updates(17, midnight - 20 * SECOND_NS, 40, 18_800);
        [at(midnight - 2 * HOUR_NS), around, at(midnight + 21 * HOUR_NS - 20 * SECOND_NS)].concat()
    };
    [session(DAY_1 + DAY_NS), session(DAY_1 + 2 * DAY_NS)].concat()
}

#[test]
fn a_folder_is_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let input = books_of(folder.path(), "a.dbn", 4, &sessions());
    for layout in [Layout::Bins, Layout::Ticks] {
        // The same moment, written in four ways.
        for start in ["22:00", "22:00Z", "17:00-05:00", "00:00+02:00"] {
            let out = folder.path().join(format!("{start} {layout:?}").replace(':', "."));
            let config = config(out, layout, start);
            let summary = convert(std::slice::from_ref(&input), &config, &()).unwrap();
            let rows = if layout == Layout::Bins { 4 } else { 80 };
            let found: Vec<_> = summary.outputs.iter().map(|o| (o.day.as_str(), o.rows)).collect();
            assert_eq!(found, [("2024-04-02", rows), ("2024-04-03", rows)], "{start}");
            let folders = tree(&config.out);
            assert!(folders.contains(&"day=2024-04-02".to_owned()), "{folders:?}");
            let Inspection::Store(found) = inspect(&config.out).unwrap() else { panic!("a store") };
            let days: Vec<_> = found.files.iter().map(|file| file.day.as_str()).collect();
            assert_eq!(days, ["2024-04-02", "2024-04-03"]);
            if layout == Layout::Bins {
                // Midnight parts nothing, the pauses between do.
                let store = Store::open(&config.out).unwrap();
                let segments = &store.files()[0].meta().segments;
                assert_eq!(segments.iter().map(|s| s.rows).collect::<Vec<_>>(), [1, 2, 1]);
            }
        }
        // Midnight UTC cuts each in two.
        let utc = config(folder.path().join(format!("utc {layout:?}")), layout, "00:00");
        let summary = convert(std::slice::from_ref(&input), &utc, &()).unwrap();
        let days: Vec<_> = summary.outputs.iter().map(|o| o.day.as_str()).collect();
        assert_eq!(days, ["2024-04-01", "2024-04-02", "2024-04-03"]);
    }
}

#[test]
fn shards_and_resumed_runs_keep_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let one = books_of(folder.path(), "a.dbn", 4, &sessions()[..80]);
    let two = books_of(folder.path(), "b.dbn", 4, &sessions()[80..]);
    let whole = config(folder.path().join("whole"), Layout::Bins, "22:00");
    convert(&[one.clone(), two.clone()], &whole, &()).unwrap();
    let names = |config: &ConvertConfig| {
        let names = tree(&config.out).into_iter();
        names.filter(|name| name.ends_with(".parquet")).collect::<Vec<_>>()
    };
    let mut shards = config(folder.path().join("shards"), Layout::Bins, "22:00");
    for index in 0..2 {
        shards.shard = Some(Shard { index, count: 2 });
        convert(&[one.clone(), two.clone()], &shards, &()).unwrap();
    }
    assert_eq!(names(&whole), names(&shards));
    // A store of sessions is none of UTC days.
    let utc = ConvertConfig { day_start_ns: 0, resume: true, ..whole.clone() };
    let error = convert(std::slice::from_ref(&one), &utc, &()).unwrap_err();
    assert!(error.to_string().contains("other settings"), "{error}");
    let again = ConvertConfig { resume: true, ..whole };
    let summary = convert(&[one, two], &again, &()).unwrap();
    assert!(summary.inputs.iter().all(|input| input.resumed));
}
