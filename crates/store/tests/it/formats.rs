//! Files of every version of the format, as they were written at the time. docs/FORMATS.md.
//!
//! The expected sums were computed from `fixtures/formats/source.mbp-10.dbn.zst` by a program that
//! knows the DBN layout and the definition of a bin, and nothing of this project.

use std::path::{Path, PathBuf};

use lob_depth::{BinColumns, NO_PRICE, OrderFlow};
use lob_store::{Store, Truth, TruthFile, TruthKey, read_tick_meta};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

fn formats(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/formats").join(name)
}

#[test]
fn a_store_of_version_1_is_read() {
    let store = Store::open(formats("store-v1/bins")).unwrap();
    let [file] = store.files() else { panic!("one file") };
    let meta = file.meta();
    assert_eq!((meta.format_version, file.len()), (1, 80));
    assert_eq!((meta.symbol.as_str(), meta.instrument_id), ("6AM4", 42_005_850));
    assert_eq!((meta.price_step, meta.updates), (50_000, 800));
    assert_eq!(meta.sources[0].name, "source.mbp-10.dbn.zst");

    let mut bins = BinColumns::default();
    file.read(0..80, &mut bins).unwrap();
    let held = |px: &[i32]| -> i64 {
        px.iter().filter(|&&px| px != NO_PRICE).map(|&px| i64::from(px)).sum()
    };
    assert_eq!(held(&bins.px), 17_732_399);
    assert_eq!((held(&bins.last_bid), held(&bins.last_ask)), (1_047_717, 851_330));
    assert!((bins.size.iter().sum::<f64>() - 56_145.0).abs() < 1e-9);
    assert!((bins.count.iter().sum::<f64>() - 197_262.0).abs() < 1e-9);
    assert!((bins.variance.iter().sum::<f64>() - 7_802.957_936_507_943).abs() < 1e-6);

    let labels = file.labels(0..80).unwrap();
    let sum = labels.ts_event.iter().fold(0_u64, |sum, ts| sum.wrapping_add(*ts));
    assert_eq!((labels.ts_event[79], sum), (1_711_929_659_074_903_787, 7_827_160_920_068_576_464));
    assert_eq!(labels.label.iter().flatten().count(), 61);

    // What version 1 does not say is unknown, never zero.
    assert_eq!(file.order_flow(0..80).unwrap(), [None; 80]);
    assert_eq!(meta.unknown, ["order_flow", "snapshot_rows"]);
    let [label] = &meta.labels[..] else { panic!("{:?}", meta.labels) };
    assert_eq!((label.name.as_str(), label.horizon, label.classes), ("reversal", 30, 5));
    assert_eq!(label.edges, meta.label.edges);
    let by_name = file.label_values("price_movement", 0..80).unwrap();
    assert_eq!((by_name.value, by_name.class), (labels.movement, labels.label));
    assert!(file.label_values("forward_1", 0..80).is_err());
}

/// Sums by `benches/peers/order_flow.py`, which reads the source by means of its own.
#[test]
fn a_store_of_version_2_is_read() {
    let store = Store::open(formats("store-v2/bins")).unwrap();
    let [file] = store.files() else { panic!("one file") };
    let meta = file.meta();
    assert_eq!((meta.format_version, meta.updates, file.len()), (2, 504, 51));
    assert_eq!((meta.symbol.as_str(), meta.price_step), ("6AM4", 50_000));
    assert_eq!(meta.unknown, [""; 0]);
    let flow: Vec<_> = file.order_flow(0..51).unwrap().into_iter().map(Option::unwrap).collect();
    let sums: [i64; 10] =
        std::array::from_fn(|level| flow.iter().map(|flow| flow.imbalance[level]).sum());
    assert_eq!(sums, [-90, -106, -91, -124, -92, -123, -119, -170, -193, -175]);
    let sum = |of: fn(&OrderFlow) -> i64| flow.iter().map(of).sum::<i64>();
    assert_eq!((sum(|flow| flow.signed_volume), sum(|flow| flow.signed_trades)), (-60, -8));
    assert_eq!(flow.iter().map(|flow| flow.trades).sum::<u64>(), 30);
    let sides = |of: fn(&OrderFlow) -> Option<[u64; 2]>| {
        let all = flow.iter().map(|flow| of(flow).unwrap());
        all.fold([0, 0], |sum, n| [sum[0] + n[0], sum[1] + n[1]])
    };
    assert_eq!(sides(|flow| flow.adds), [99, 111]);
    assert_eq!(sides(|flow| flow.cancels), [111, 89]);
    assert_eq!(sides(|flow| flow.modifies), [24, 40]);
    let reals = flow.iter().map(|flow| (flow.microprice_deviation, flow.queue_imbalance));
    let reals = reals.fold((0.0, 0.0), |sum, x| (sum.0 + x.0.unwrap(), sum.1 + x.1.unwrap()));
    assert!((reals.0 - 0.538_190_263_636_223_8).abs() < 1e-12, "{reals:?}");
    assert!((reals.1 - 0.918_981_321_566_835_4).abs() < 1e-12, "{reals:?}");
    // It was called `price_movement` at the time.
    let names: Vec<_> = meta.labels.iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["reversal", "forward_1", "forward_10"]);
    let reversal = file.label_values("reversal", 0..51).unwrap();
    assert_eq!(reversal, file.label_values("price_movement", 0..51).unwrap());
    assert_eq!(reversal.value, file.labels(0..51).unwrap().movement);
    for (name, n, sum) in [("forward_1", 50, -3.0), ("forward_10", 41, -23.0)] {
        let values = file.label_values(name, 0..51).unwrap().value;
        assert_eq!(values.iter().flatten().count(), n);
        assert!((values.iter().flatten().sum::<f64>() - sum).abs() < 1e-12, "{name}");
    }
}

/// Sums of `bid_px_00`, `ask_sz_09`, `size` and `sequence` of a file of ticks, read by the `parquet` crate
/// alone.
fn tick_sums(path: &Path) -> (u64, [i64; 4]) {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let (mut sums, mut n_rows) = ([0_i64; 4], 0);
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        for (name, field) in row.get_column_iter() {
            let sum = match name.as_str() {
                "bid_px_00" => &mut sums[0],
                "ask_sz_09" => &mut sums[1],
                "size" => &mut sums[2],
                "sequence" => &mut sums[3],
                _ => continue,
            };
            *sum += match field {
                Field::Long(x) => *x,
                Field::UInt(x) => i64::from(*x),
                Field::Null => 0,
                other => panic!("{name}: {other:?}"),
            };
        }
        n_rows += 1;
    }
    (n_rows, sums)
}

#[test]
fn ticks_of_version_1_are_read() {
    let folder = formats("store-v1/ticks/day=2024-04-01/instrument_id=42005850");
    let path = folder.join("ticks-1-21844764b6ed.parquet");
    let meta = read_tick_meta(&path).unwrap().expect("a tick file");
    assert_eq!((meta.format_version, meta.rows), (1, 800));
    assert_eq!((meta.symbol.as_str(), meta.price_units), ("6AM4", 1_000_000_000));
    assert_eq!(meta.class_counts.iter().sum::<u64>(), 612);
    assert_eq!(tick_sums(&path), (800, [523_204_250_000, 26_949, 2_282, 117_026]));
}

/// The sums are those that pyarrow finds in the last 504 rows of the file of version 1: the rows before
/// are of a snapshot.
#[test]
fn ticks_of_version_2_are_read() {
    let folder = formats("store-v2/ticks/day=2024-04-01/instrument_id=42005850");
    let path = folder.join("ticks-1-1559feb066c4.parquet");
    let meta = read_tick_meta(&path).unwrap().expect("a tick file");
    assert_eq!((meta.format_version, meta.rows), (2, 504));
    assert_eq!((meta.symbol.as_str(), meta.instrument_id), ("6AM4", 42_005_850));
    assert_eq!(meta.class_counts.iter().sum::<u64>(), 429);
    assert_eq!(tick_sums(&path), (504, [330_023_450_000, 26_310, 1_407, 116_434]));
}

/// The truth of `source.mbp-10.dbn.zst`; keys and values are those that pyarrow reads.
#[test]
fn a_truth_of_version_1_is_read() {
    let file = TruthFile::open(formats("truth-v1.parquet")).unwrap();
    assert_eq!(file.len(), 800);
    let mut reader = file.reader();
    for (sequence, ts_event, latency, pressure) in [
        (2, 1_711_929_600_000_000_000, 65_119, 0.0),
        (185, 1_711_929_619_286_299_029, 69_141, 0.0),
        (453, 1_711_929_659_074_903_787, 71_596, 12.0),
    ] {
        let (instrument_id, ts_recv) = (42_005_850, ts_event + latency);
        let key = TruthKey { instrument_id, sequence, ts_event, ts_recv };
        assert_eq!(reader.find(&key).unwrap(), Some(Truth { regime: 1, pressure }));
    }
}

#[test]
fn embeddings_of_version_1_are_read() {
    let path = formats("embeddings-v1.parquet");
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> =
        (0..schema.num_columns()).map(|i| schema.column(i).name().to_owned()).collect();
    let expected = ["instrument_id", "file", "row", "ts_event", "e000", "e001", "e002", "e003"];
    assert_eq!(names, expected);
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let first = rows[0].get_column_iter().next().unwrap().1;
    assert_eq!((rows.len(), first), (47, &Field::ULong(42_005_850)));
}
