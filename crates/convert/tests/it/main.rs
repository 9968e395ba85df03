//! The converter through its public interface.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests may cast small numbers and say what they skip"
)]

mod ahead;
mod cases;
mod changes;
mod convert;
mod corruption;
mod duplicates;
mod durability;
mod edges;
mod faults;
mod formats;
mod golden;
mod greedy;
mod hashes;
mod horizons;
mod hostile;
mod identity;
mod mappings;
mod messy;
mod names;
mod oracle;
mod order_flow;
mod real;
mod redelivery;
mod reference;
mod seeds;
mod segments;
mod sessions;
mod shards;
mod snapshots;
mod steps;
mod stream;
mod ticks;
mod times;
mod truth;
mod walk;

use lob_fixtures::{evidence, records as made};

use std::path::{Path, PathBuf};

use lob_convert::ConvertConfig;
use lob_synth::{Schema, SynthConfig};

/// A synthetic market file of this name in `folder`.
fn market(folder: &Path, name: &str, records: u64, instruments: u32, sessions: u32) -> PathBuf {
    let schema = if name.contains(".mbo.") { Schema::Mbo } else { Schema::Mbp10 };
    let path = folder.join(name);
    let config = SynthConfig { records, instruments, sessions, seed: 7, schema };
    lob_synth::write_file(&config, &path).unwrap();
    path
}

/// Settings with bins and label windows small enough for short files.
fn small(out: PathBuf) -> ConvertConfig {
    let mut config = ConvertConfig::new(out);
    config.bin_rule = lob_depth::BinRule::Updates(20);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (100, 80, 10);
    config.label.classes = 5;
    config
}

/// The same for markets of one day that differ: tests of runs over many files do not care.
fn several(out: PathBuf) -> ConvertConfig {
    ConvertConfig { keep_duplicates: true, ..small(out) }
}

/// All files and folders below `root`, relative and sorted.
fn tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            if path.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    if root.exists() {
        walk(root, root, &mut found);
    }
    found.sort();
    found
}
