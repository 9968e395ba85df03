//! Every indicator against independent implementations: TA-Lib, pandas and numpy, whose results
//! stand in `tests/golden` (written by `cargo xtask peers signals -- --write-golden`).

use std::collections::HashMap;
use std::path::Path;

use lob_signals::{Study, Ticks};

fn table(name: &str) -> HashMap<String, Vec<f64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut columns = vec![Vec::new(); header.len()];
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), header.len());
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.push(if cell.is_empty() { f64::NAN } else { cell.parse().unwrap() });
        }
    }
    header.into_iter().map(str::to_owned).zip(columns).collect()
}

#[test]
fn every_indicator_agrees_with_its_peer() {
    let (inputs, mut expected) = (table("inputs.csv"), table("expected.csv"));
    let ticks = Ticks {
        price: &inputs["price"],
        high: &inputs["high"],
        low: &inputs["low"],
        volume: &inputs["volume"],
        signed_volume: &inputs["signed_volume"],
        bid_px: &inputs["bid_px"],
        ask_px: &inputs["ask_px"],
        bid_sz: &inputs["bid_sz"],
        ask_sz: &inputs["ask_sz"],
        bid_depth_sz: &inputs["bid_depth_sz"],
        ask_depth_sz: &inputs["ask_depth_sz"],
    };
    for study in Study::all() {
        for (name, found) in study.columns().iter().zip(study.series(&ticks).unwrap()) {
            let peer = expected.remove(name).unwrap_or_else(|| panic!("no golden `{name}`"));
            assert_eq!(found.len(), peer.len());
            let mut sizes: Vec<f64> =
                peer.iter().filter(|x| !x.is_nan()).map(|x| x.abs()).collect();
            sizes.sort_by(f64::total_cmp);
            // Relative to the value, or to the usual size for values near zero.
            let usual = sizes[sizes.len() / 2];
            assert!(sizes.len() > 60, "`{name}` has {} golden values", sizes.len());
            for (row, (found, peer)) in found.iter().zip(&peer).enumerate() {
                let near = (found - peer).abs() <= 1e-9 * peer.abs().max(usual);
                let same = (found.is_nan() && peer.is_nan()) || near;
                assert!(same, "{name} row {row}: {found}, the peer has {peer}");
            }
        }
    }
    assert!(expected.is_empty(), "golden columns nobody asked for: {:?}", expected.keys());
}
