//! Class edges as a step of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use dbn::Mbp10Msg;
use lob_convert::{
    ClassEdges, ConvertConfig, ConvertError, EdgesSummary, InputSummary, Inspection, Layout,
    Progress, Shard, convert, fit_edges, inspect,
};
use lob_store::Store;

use crate::{
    made::{DAY_1, DAY_NS, Mapped, SECOND_NS, books, books_from, update},
    small, tree,
};

const DAYS: u64 = 4;

fn tiny(out: PathBuf) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (20, 20, 5);
    config.label.classes = 3;
    config
}

/// A random walk of an instrument on a day, wider from day to day.
fn walk(id: u32, day: u64) -> Vec<Mbp10Msg> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(1 + u64::from(id) * 31 + day);
    let mut steps = 400_i64;
    let n = 0..700_u64;
    n.map(|n| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        steps += (state >> 33).cast_signed().rem_euclid(3 + 2 * day.cast_signed())
            - 1
            - day.cast_signed();
        steps = steps.clamp(300, 500);
        update(id, DAY_1 + day * DAY_NS + n * SECOND_NS, steps)
    })
    .collect()
}

/// A file a day: instrument 17 on all of them, 18 from the third on.
fn days(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    let write = |day: u64| {
        let mut records = walk(17, day);
        if day >= 2 {
            records.extend(walk(18, day));
        }
        books_from(folder, &format!("{day}.dbn"), DAY_1 + day * DAY_NS, &records)
    };
    (0..DAYS).map(write).collect()
}

fn fit(inputs: &[PathBuf], n: usize, out: &Path) -> EdgesSummary {
    fit_edges(inputs, &tiny(PathBuf::new()), n, out, &()).unwrap()
}

/// Names and bytes of data and edges files.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let names = tree(root).into_iter();
    let names = names.filter(|name| name.ends_with(".parquet") || name.ends_with(".json"));
    names.map(|name| (name.clone(), fs::read(root.join(&name)).unwrap())).collect()
}

fn assert_same(found: &Path, expected: &[(String, Vec<u8>)]) {
    let found_files = files(found);
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found_files), names(expected), "{}", found.display());
    for (a, b) in found_files.iter().zip(expected) {
        assert!(a.1 == b.1, "`{}` of {} has other bytes", a.0, found.display());
    }
}

/// A quantile by linear interpolation between order statistics, written down apart.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() as f64 - 1.0);
    let (below, part) = (at.floor() as usize, at.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] * (1.0 - part) + sorted[above] * part
}

#[test]
fn edges_are_quantiles_of_the_first_days_of_each_instrument() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    let config = tiny(folder.path().join("store"));
    convert(&inputs, &config, &()).unwrap();
    let store = Store::open(&config.out).unwrap();
    let summary = fit(&inputs, 2, &folder.path().join("edges"));
    assert_eq!((summary.edges.len(), summary.duplicates.len()), (2, 0));
    assert!(summary.warnings.iter().all(|w| !w.contains("`17`")), "{:?}", summary.warnings);
    for (fitted, id, first) in [(&summary.edges[0], 17, 1), (&summary.edges[1], 18, 3)] {
        let edges = &fitted.edges;
        let expected = [first, first + 1].map(|day| format!("2024-04-0{day}"));
        assert_eq!((&*edges.symbol, &edges.fitted_on.days[..]), (&*id.to_string(), &expected[..]));
        let mut movements = Vec::new();
        for file in store.files().iter().filter(|file| file.meta().instrument_id == id) {
            if expected.contains(&file.meta().day) {
                movements
                    .extend(file.labels(0..file.len()).unwrap().movement.into_iter().flatten());
            }
        }
        movements.sort_by(f64::total_cmp);
        assert_eq!(edges.fitted_on.movements, movements.len() as u64);
        for (edge, q) in edges.edges.iter().zip([1.0 / 3.0, 2.0 / 3.0]) {
            let expected = quantile(&movements, q);
            assert!((edge - expected).abs() < 1e-15, "{edge} {expected}");
        }
        assert_eq!(edges.fitted_on.inputs.len(), 2);
        assert_eq!(edges.fitted_on.inputs[0].name, format!("{}.dbn", first - 1));
        assert_eq!(edges.fitted_on.inputs[0].fingerprint.len(), 32);
    }
    // A store gives the same, from the same days.
    let of_store = fit(std::slice::from_ref(&config.out), 2, &folder.path().join("of-store"));
    assert_same(&folder.path().join("of-store"), &files(&folder.path().join("edges")));
    assert_eq!(of_store.edges[0].edges, summary.edges[0].edges);
}

#[test]
fn order_and_shape_of_the_inputs_change_no_edge() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    let mut backwards = inputs.clone();
    backwards.reverse();
    let expected = fit(&inputs, 2, &folder.path().join("a"));
    fit(&backwards, 2, &folder.path().join("b"));
    assert_same(&folder.path().join("b"), &files(&folder.path().join("a")));
    // Also with a header that maps all ids, so that later days need not be read.
    let mapped = [Mapped("17", 17, 1, 9), Mapped("18", 18, 1, 9)];
    let other = folder.path().join("mapped");
    fs::create_dir(&other).unwrap();
    let one: Vec<_> = (0..DAYS).flat_map(|day| walk(17, day)).collect();
    let all = books(&other, "all.dbn", &mapped[..1], &one);
    let summary = fit(&[all], 2, &folder.path().join("c"));
    assert_eq!(summary.edges[0].edges.edges, expected.edges[0].edges.edges);
    assert_eq!(summary.edges[0].edges.fitted_on.days, expected.edges[0].edges.fitted_on.days);
}

#[test]
fn later_inputs_are_not_read_where_headers_say_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = (0..8)
        .map(|day| {
            let (from, mapped) = (DAY_1 + day * DAY_NS, [Mapped("ESM4", 17, 1, 20)]);
            crate::made::books_mapped_from(
                folder.path(),
                &format!("{day}.dbn"),
                from,
                &mapped,
                &walk(17, day),
            )
        })
        .collect();
    let summary = fit(&inputs, 2, &folder.path().join("edges"));
    let days = &summary.edges[0].edges.fitted_on.days;
    assert_eq!(days[..], ["2024-04-01".to_owned(), "2024-04-02".to_owned()]);
    // A record may lie a day before its header's window, so one more is read.
    assert!(summary.later >= 4 && summary.inputs.len() + summary.later as usize == 8);
}

/// Asks to stop when the second input is done.
struct StopsInTheMiddle(AtomicU64);

impl Progress for StopsInTheMiddle {
    fn input_done(&self, _: &InputSummary) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 2
    }
}

#[test]
fn with_one_set_of_edges_no_way_of_converting_changes_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    let edges = folder.path().join("edges");
    fit(&inputs, 2, &edges);
    for layout in [Layout::Bins, Layout::Ticks] {
        let config = |name: &str| {
            let mut config = tiny(folder.path().join(format!("{layout:?}-{name}")));
            let (class_edges, classes) = ClassEdges::of(&edges, &config.label).unwrap();
            (config.class_edges, config.label.classes) = (class_edges, classes);
            ConvertConfig { layout, ..config }
        };
        let alone = config("alone");
        let summary = convert(&inputs, &alone, &()).unwrap();
        assert!(summary.samples > 0 && !summary.warnings.iter().any(|w| w.contains("edges")));
        let expected = files(&alone.out);
        assert_eq!(expected.len(), 6);

        let two = ConvertConfig { jobs: 2, ..config("jobs") };
        let mut backwards = inputs.clone();
        backwards.reverse();
        convert(&backwards, &two, &()).unwrap();
        assert_same(&two.out, &expected);

        let shared = config("shards");
        for index in [2, 0, 1] {
            let shard = Some(Shard { index, count: 3 });
            convert(&inputs, &ConvertConfig { shard, ..shared.clone() }, &()).unwrap();
        }
        assert_same(&shared.out, &expected);

        let resumed = ConvertConfig { resume: true, ..config("resumed") };
        let stopped = convert(&inputs, &resumed, &StopsInTheMiddle(AtomicU64::new(0)));
        assert!(matches!(stopped, Err(ConvertError::Interrupted)));
        assert!(files(&resumed.out).len() < expected.len());
        let again = convert(&inputs, &resumed, &()).unwrap();
        assert_eq!(again.inputs.iter().filter(|input| input.resumed).count(), 2);
        assert_same(&resumed.out, &expected);

        // A day that comes later has the same classes as if it had come with the others.
        let later = config("later");
        for input in &backwards {
            convert(std::slice::from_ref(input), &later, &()).unwrap();
        }
        assert_same(&later.out, &expected);

        // What they were fitted on is said, with units.
        let Inspection::Store(found) = inspect(&alone.out).unwrap() else { panic!("a store") };
        assert_eq!(found.edges.len(), 2);
        let of = &found.edges[0];
        assert_eq!((&*of.symbol, of.classes, of.files), ("17", 3, 4));
        assert!(of.unit.contains("fraction"), "{}", of.unit);
        assert!(of.fitted_on.contains("2024-04-01 to 2024-04-02"), "{}", of.fitted_on);
        assert!(found.health.is_empty(), "{:?}", found.health);
    }
}

#[test]
fn files_with_edges_of_their_own_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    for layout in [Layout::Bins, Layout::Ticks] {
        let config = ConvertConfig { layout, ..tiny(folder.path().join(format!("{layout:?}"))) };
        let first = convert(&inputs[..1], &config, &()).unwrap();
        assert!(first.warnings.is_empty(), "{:?}", first.warnings);
        // The second run adds a day to the first one's.
        let second = convert(&inputs[1..2], &config, &()).unwrap();
        let of = |warnings: &[String]| {
            let said = warnings.iter().filter(|w| w.contains("sets of class edges"));
            said.map(String::clone).collect::<Vec<_>>()
        };
        assert_eq!(of(&second.warnings).len(), 1);
        assert!(of(&second.warnings)[0].contains("2 files of `17` have 2 sets"));
        let all = convert(&inputs, &config, &()).unwrap();
        assert!(of(&all.warnings)[0].contains("4 files of `17` have 4 sets"), "{all:?}");
        assert!(of(&all.warnings)[0].contains("1 more instruments"));
        let Inspection::Store(found) = inspect(&config.out).unwrap() else { panic!("a store") };
        assert_eq!(of(&found.health), of(&all.warnings));
        assert_eq!(found.edges.len(), 6);
    }
}

/// Prices that stand still have no quantiles: that one movement is in the middle class, as where
/// edges are fitted for each file.
#[test]
fn flat_prices_are_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let flat: Vec<_> = (0..300).map(|n| update(17, DAY_1 + n * SECOND_NS, 100)).collect();
    let input = books(folder.path(), "flat.dbn", &[], &flat);
    let edges = folder.path().join("edges");
    let inputs = std::slice::from_ref(&input);
    fit(inputs, 2, &edges);
    let mut config = tiny(folder.path().join("given"));
    config.class_edges = ClassEdges::of(&edges, &config.label).unwrap().0;
    let given = convert(inputs, &config, &()).unwrap();
    let fitted = convert(inputs, &tiny(folder.path().join("fitted")), &()).unwrap();
    assert_eq!(given.outputs[0].class_counts, fitted.outputs[0].class_counts);
    assert!(given.outputs[0].class_counts[1] > 0);
}

#[test]
fn what_cannot_be_fitted_or_used_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    let config = tiny(PathBuf::new());
    let edges = folder.path().join("edges");
    fit(&inputs, 1, &edges);
    let said = |result: Result<EdgesSummary, ConvertError>| result.unwrap_err().to_string();
    let out = folder.path().join("x");
    // Twice into one folder, no days, edges that are given, a share of the movements.
    assert!(said(fit_edges(&inputs, &config, 1, &edges, &())).contains("not empty"));
    assert!(said(fit_edges(&inputs, &config, 0, &out, &())).contains("fit-days"));
    let given = ConvertConfig { class_edges: ClassEdges::Fixed(vec![-1.0, 1.0]), ..config.clone() };
    assert!(said(fit_edges(&inputs, &given, 1, &out, &())).contains("fit-edges"));
    let part = ConvertConfig { fit_part: Some(0.5), ..config.clone() };
    assert!(said(fit_edges(&inputs, &part, 1, &out, &())).contains("fit-part"));
    // Too few updates for a movement; a cut file.
    let short = books(folder.path(), "short.dbn", &[], &walk(17, 0)[..30]);
    assert!(said(fit_edges(&[short], &config, 1, &out, &())).contains("no instrument"));
    let cut = folder.path().join("cut.dbn");
    let bytes = fs::read(&inputs[0]).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
    assert!(said(fit_edges(&[cut], &config, 1, &out, &())).contains("cut.dbn"));
    // A store of ticks, a store of other windows, a store beside files.
    let ticks = ConvertConfig { layout: Layout::Ticks, ..tiny(folder.path().join("ticks")) };
    convert(&inputs[..1], &ticks, &()).unwrap();
    assert!(
        said(fit_edges(std::slice::from_ref(&ticks.out), &config, 1, &out, &())).contains("ticks")
    );
    let bins = tiny(folder.path().join("bins"));
    convert(&inputs[..1], &bins, &()).unwrap();
    let mut other = config.clone();
    other.label.lookback = 21;
    let stores = std::slice::from_ref(&bins.out);
    assert!(said(fit_edges(stores, &other, 1, &out, &())).contains("[21, 20, 5]"));
    let both = [bins.out.clone(), inputs[0].clone()];
    assert!(said(fit_edges(&both, &config, 1, &out, &())).contains("the ones or the others"));
    let left = tree(folder.path());
    assert!(!out.exists() && !left.iter().any(|name| name.contains("loblab-tmp")), "{left:?}");
    // Edges for other windows, for other classes, and a file that was changed.
    let error = ClassEdges::of(&edges, &other.label).unwrap_err().to_string();
    assert!(error.contains("[20, 20, 5]") && error.contains("edges-1-17.json"), "{error}");
    let mut classes = tiny(folder.path().join("y"));
    classes.class_edges = ClassEdges::of(&edges, &config.label).unwrap().0;
    classes.label.classes = 4;
    let error = convert(&inputs, &classes, &()).unwrap_err().to_string();
    assert!(error.contains("3 classes of `17`"), "{error}");
    let file = edges.join("edges-1-17.json");
    fs::write(
        &file,
        fs::read_to_string(&file).unwrap().replace("\"version\": 1", "\"version\": 7"),
    )
    .unwrap();
    let error = ClassEdges::of(&edges, &config.label).unwrap_err().to_string();
    assert!(error.contains("version `7`"), "{error}");
}

/// An instrument without edges is converted without labels, and that is said.
#[test]
fn an_instrument_that_was_not_fitted_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = days(&folder.path().join("in"));
    let edges = folder.path().join("edges");
    fit(&inputs[..1], 1, &edges);
    let mut config = tiny(folder.path().join("out"));
    config.class_edges = ClassEdges::of(&edges, &config.label).unwrap().0;
    let summary = convert(&inputs, &config, &()).unwrap();
    let said = |w: &String| w.contains("no class edges are given for `18`");
    assert!(summary.warnings.iter().any(said), "{:?}", summary.warnings);
    let without: Vec<_> = summary.outputs.iter().filter(|o| o.edges.is_none()).collect();
    assert!(without.len() == 2 && without.iter().all(|o| o.instrument_id == 18 && o.samples == 0));
}
