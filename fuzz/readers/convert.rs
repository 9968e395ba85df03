//! Any bytes through a whole conversion in both layouts: an error that leaves nothing behind, or a
//! store whose rows are those of the summary.

use lob_convert::{ConvertConfig, Layout, convert};
use lob_depth::BinRule;
use lob_store::{Store, read_tick_meta};

pub(crate) fn check(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("input.dbn");
    std::fs::write(&input, bytes).expect("room for the input");
    for layout in [Layout::Bins, Layout::Ticks] {
        let mut config = ConvertConfig::new(folder.path().join(format!("{layout:?}")));
        config.layout = layout;
        config.bin_rule = BinRule::Updates(2);
        (config.label.lookback, config.label.lookforward, config.label.offset) = (3, 3, 1);
        match convert(std::slice::from_ref(&input), &config, &()) {
            Err(_) => assert!(!config.out.exists(), "a failed conversion left a folder"),
            Ok(summary) if layout == Layout::Bins => {
                let store = Store::open(&config.out).expect("a store just written");
                assert_eq!(store.total_bins(), summary.rows);
            }
            Ok(summary) => {
                for output in &summary.outputs {
                    let meta = read_tick_meta(&output.path).expect("a file just written");
                    assert_eq!(meta.expect("a tick file").rows, output.rows);
                }
            }
        }
    }
}
