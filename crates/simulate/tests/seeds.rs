//! A few hundred seeds on a sound disk, and some on disks whose syncs do nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use lob_simulate::{Counts, Ignored, Market, simulate};

const SEEDS: u64 = 300;
/// Within so many seeds a sync that does nothing must be found out.
const BROKEN_SEEDS: u64 = 200;

#[test]
fn conversions_survive_a_disk_that_fails_tears_and_forgets() {
    let mut market = Market::new().unwrap();
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let result = simulate(seed, &mut market, Ignored::Nothing, false);
        counts.add(&result.unwrap_or_else(|violation| {
            panic!("{violation}\nhint: cargo xtask simulate --seed {seed}")
        }));
    }
    println!("{counts:?}");
    assert_eq!(counts.seeds, SEEDS);
    // The disk did what it is for.
    for n in [
        counts.failed,
        counts.short_writes,
        counts.power_losses,
        counts.kills,
        counts.torn_writes,
        counts.lost_writes,
        counts.lost_renames,
        counts.reads,
    ] {
        assert!(n > SEEDS / 10, "{counts:?}");
    }
}

/// A simulation that finds nothing might look at nothing.
#[test]
fn a_disk_that_only_pretends_to_sync_is_found_out() {
    let mut market = Market::new().unwrap();
    for ignored in [Ignored::Files, Ignored::Folders] {
        let found =
            (0..BROKEN_SEEDS).find_map(|seed| simulate(seed, &mut market, ignored, false).err());
        println!("{ignored:?}: {found:?}");
        assert!(found.is_some(), "{ignored:?}");
    }
}

#[test]
fn a_seed_replays() {
    let mut market = Market::new().unwrap();
    let fails = |market: &mut Market, seed| simulate(seed, market, Ignored::Folders, true).err();
    let first = (0..BROKEN_SEEDS).find_map(|seed| fails(&mut market, seed)).unwrap();
    // Names of temporary folders alone hold the number of the process, which is the same here.
    assert_eq!(fails(&mut market, first.seed), Some(first.clone()));
    assert!(first.trace.len() > 10);
    for seed in 0..20 {
        let counts = |market: &mut Market| simulate(seed, market, Ignored::Nothing, false).unwrap();
        assert_eq!(counts(&mut market), counts(&mut market));
    }
}
