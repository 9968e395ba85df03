//! Labels through the whole path against independently computed ones.

use lob_convert::convert;
use lob_depth::BinRule;
use lob_store::Store;

use crate::evidence::golden;
use crate::small;

/// The numbers of a little-endian `.npy` file of one dimension.
fn npy<const N: usize>(path: &std::path::Path) -> Vec<[u8; N]> {
    let bytes = std::fs::read(path).unwrap();
    let header_bytes = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header_bytes..].chunks_exact(N).map(|item| item.try_into().unwrap()).collect()
}

#[test]
fn labels_equal_the_reference() {
    let golden = golden("represent");
    let movements: Vec<f64> = npy(&golden.join("cls_price_movement_f64.npy"))
        .into_iter()
        .map(f64::from_le_bytes)
        .collect();
    for classes in [13, 5] {
        let labels: Vec<i32> = npy(&golden.join(format!("cls_labels_{classes}.npy")))
            .into_iter()
            .map(i32::from_le_bytes)
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let mut config = small(folder.path().join("out"));
        config.bin_rule = BinRule::Updates(1);
        (config.label.lookback, config.label.lookforward, config.label.offset) = (200, 150, 20);
        config.label.classes = classes;
        let summary = convert(&[golden.join("cls.mbp-10.dbn.zst")], &config, &()).unwrap();
        assert_eq!((summary.rows, summary.samples), (3_000, 2_630));
        assert_eq!(summary.outputs[0].symbol, "M6AM4");
        let store = Store::open(&config.out).unwrap();
        let columns = store.files()[0].labels(0..3_000).unwrap();
        let ours: Vec<i32> = columns.label.iter().flatten().copied().collect();
        assert_eq!(ours, labels, "{classes} classes");
        for (row, (ours, expected)) in columns.movement.iter().zip(&movements).enumerate() {
            match ours {
                None => assert!(expected.is_nan(), "row {row}"),
                Some(ours) => {
                    let tolerance = 1e-9 * expected.abs().max(1e-6);
                    assert!((ours - expected).abs() <= tolerance, "row {row}: {ours} {expected}");
                }
            }
        }
    }
}
