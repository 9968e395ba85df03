//! Images against values computed by an independent implementation, through the command.

use super::{evidence, lob_ok, shown};

/// The f32 values of an `.npy` file.
fn npy(path: &std::path::Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[10 + header..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn check(case: &str, golden: &str, args: &[&str], tolerance: f32) {
    let input = evidence::golden(&format!("represent/{case}.mbp-10.dbn.zst"));
    let expected = evidence::golden(&format!("represent/{golden}.npy"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("image.npy");
    let mut all = vec!["render", shown(&input), "--bins", "10", "--price-step", "0.00001"];
    all.extend(args);
    all.extend(["--out", shown(&out)]);
    lob_ok(&all);
    let (found, expected) = (npy(&out), npy(&expected));
    assert_eq!(found.len(), expected.len(), "{golden}");
    let differences = found.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs()));
    let worst = lob_metrics::stats::largest(differences).unwrap();
    assert!(worst <= tolerance.into(), "{golden}: off by {worst}");
}

#[test]
fn compat_equals_the_reference() {
    for case in ["tiny", "tiny_evenspread", "dup_levels"] {
        for (feature, tolerance) in [("volume", 0.0), ("trade_counts", 0.0), ("variance", 1e-6)] {
            let args = ["--geometry", "compat", "--ticks-per-bin", "2500", "--features", feature];
            check(case, &format!("{case}_{feature}"), &args, tolerance);
        }
        let all = [
            "--geometry",
            "compat",
            "--ticks-per-bin",
            "2500",
            "--features",
            "volume,variance,trade_counts",
        ];
        check(case, &format!("{case}_all3"), &all, 1e-6);
    }
}

#[test]
fn contiguous_equals_its_definition() {
    for case in ["tiny", "tiny_evenspread"] {
        let args = ["--ticks-per-bin", "50", "--features", "trade_counts,volume,variance"];
        check(case, &format!("{case}_contiguous_all3"), &args, 1e-6);
    }
}
