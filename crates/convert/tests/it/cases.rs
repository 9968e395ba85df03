//! A day and its copies: see `fixtures/cases/README.md`.

use std::path::{Path, PathBuf};

use lob_convert::{ConvertConfig, Layout, convert};
use lob_synth::{Mess, Schema, SynthConfig, write_messy_sessions};

use crate::small;

const DAY: &str = "day.mbp-10.dbn.zst";

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases").join(name)
}

fn config(out: PathBuf, layout: Layout) -> ConvertConfig {
    let mut config = small(out);
    config.layout = layout;
    config
}

/// Rows of a conversion of `input`, and everything it said.
fn rows(input: &Path, out: PathBuf, layout: Layout) -> (u64, String) {
    let summary = convert(&[input.to_owned()], &config(out, layout), &()).unwrap();
    (summary.rows, format!("{:?} {:?} {:?}", summary.warnings, summary.skipped, summary.inputs))
}

#[test]
fn a_day_and_its_copy_are_one_day() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let raw = zstd::decode_all(std::fs::File::open(case(DAY)).unwrap()).unwrap();
    for (n, (name, bytes)) in [
        ("day.mbp-10.dbn", raw.clone()),
        // Identical content under another name, and the same records compressed otherwise.
        ("another-name.dbn.zst", std::fs::read(case(DAY)).unwrap()),
        ("day-9.mbp-10.dbn.zst", zstd::encode_all(&raw[..], 9).unwrap()),
    ]
    .into_iter()
    .enumerate()
    {
        let input = folder.join(format!("in {n}"));
        std::fs::create_dir(&input).unwrap();
        std::fs::copy(case(DAY), input.join(DAY)).unwrap();
        for layout in [Layout::Bins, Layout::Ticks] {
            let out = |what: &str| folder.join(format!("{n} {layout:?} {what}"));
            let (one, _) = rows(&input.join(DAY), out("one"), layout);
            assert_eq!(one, if layout == Layout::Bins { 20 } else { 400 });
            std::fs::write(input.join(name), &bytes).unwrap();
            let (both, said) = rows(&input, out("both"), layout);
            std::fs::remove_file(input.join(name)).unwrap();
            assert_eq!(both, one, "{name}: {said}");
            assert!(said.contains(name) && said.contains(DAY), "both are named: {said}");
        }
    }
}

#[test]
fn a_messy_folder_counts_its_first_day_once() {
    for schema in [Schema::Mbp10, Schema::Mbo] {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in");
        let market = SynthConfig { records: 4_000, instruments: 2, sessions: 2, seed: 3, schema };
        let files = write_messy_sessions(&market, &Mess::daily(), &input, &|| false).unwrap();
        for layout in [Layout::Bins, Layout::Ticks] {
            let all = rows(&input, folder.path().join(format!("all {layout:?}")), layout).0;
            let originals: Vec<_> = files
                .iter()
                .filter(|file| file.copy_of.is_none())
                .map(|f| f.path.clone())
                .collect();
            let out = folder.path().join(format!("originals {layout:?}"));
            let alone = convert(&originals, &config(out, layout), &()).unwrap();
            assert_eq!(all, alone.rows, "{schema:?} {layout:?}");
        }
    }
}
