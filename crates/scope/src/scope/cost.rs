//! What a scope itself costs.

use std::sync::OnceLock;
use std::time::Instant;

use super::tree::Node;
use super::{CURRENT, close, open};
use crate::clock;

const CALLS_PER_BATCH: u32 = 4096;
const BATCHES: u32 = 25;

/// Seconds one enter and leave of an enabled scope costs on this machine, now.
///
/// The least of 25 batches of 4096 empty scopes in a tree of its own: results of
/// [`super::take_scopes`] and [`super::scope_calls_total`] are untouched. Takes a few
/// milliseconds. Zero when scopes are compiled out.
#[must_use]
pub fn calibrate_scope_cost() -> f64 {
    static ROOT: OnceLock<&'static Node> = OnceLock::new();
    if cfg!(feature = "compile-out") {
        return 0.0;
    }
    let read = if clock::start() { clock::read_counter } else { clock::ticks };
    let outside = CURRENT.replace(Some(ROOT.get_or_init(Node::new_root)));
    let batch = || {
        let start = Instant::now();
        for _ in 0..CALLS_PER_BATCH {
            if let Some(open) = std::hint::black_box(open("calibration", read())) {
                close(open, read());
            }
        }
        start.elapsed().as_secs_f64() / f64::from(CALLS_PER_BATCH)
    };
    let best = (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min);
    CURRENT.set(outside);
    best
}
