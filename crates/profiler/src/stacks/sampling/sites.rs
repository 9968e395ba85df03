//! Which lines allocate: every so many bytes, the allocator's hook captures its stack.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lob_scope::Unavailable;

use super::capture::{Captures, Registers};
use super::countdown;
use super::reader::{Reader, resolved};
use super::table::{Seen, Table};
use crate::stacks::report::{AllocProfile, AllocSite};

/// Fewest bytes between two samples: below, the program would be busy with them.
const MIN_PERIOD_BYTES: u64 = 1024;

/// Mean bytes between two samples of a thread; 0 while no sites are tracked.
static PERIOD_BYTES: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicBool = AtomicBool::new(false);
static CAPTURES: OnceLock<Captures> = OnceLock::new();

thread_local! {
    // Const-initialised and without a destructor, like the allocator's own.
    static DICE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
}

/// Allocation sites being tracked; stopping it gives the result.
#[derive(Debug)]
#[must_use = "dropping it ends the tracking"]
pub struct AllocSites {
    reader: Option<Reader>,
}

/// Starts tracking which lines allocate: on average every `every_bytes` bytes of a thread (1 KiB
/// at least) the stack is captured, a few microseconds each. 512 KiB finds what matters at no
/// noticeable cost; the distance varies at random, so that no rhythm of the program hides a site.
///
/// # Errors
/// Where [`lob_scope::CountingAllocator`] is not the program's global allocator, where tracking is on
/// already, or without the feature `lines`.
pub fn track_alloc_sites(every_bytes: u64) -> Result<AllocSites, Unavailable> {
    lob_scope::allocations_are_counted()?;
    if TAKEN.swap(true, Ordering::AcqRel) {
        return Err(Unavailable::new("allocation sites are being tracked already"));
    }
    let captures = CAPTURES.get_or_init(Captures::new);
    // `TAKEN` makes this the only reader.
    let reader = Reader::start(captures, "lob-sites")
        .inspect_err(|_| TAKEN.store(false, Ordering::Release))?;
    captures.take_lost();
    PERIOD_BYTES.store(every_bytes.max(MIN_PERIOD_BYTES), Ordering::Release);
    lob_scope::set_alloc_hook(Some(note_alloc));
    Ok(AllocSites { reader: Some(reader) })
}

impl AllocSites {
    /// Stops tracking and looks up names and lines. Figures are estimates: those of a site with
    /// `n` samples are right to about one part in the square root of `n`.
    #[must_use]
    pub fn stop(mut self) -> AllocProfile {
        let Some(reader) = self.reader.take() else { return AllocProfile::default() };
        let (stacks, lost) = end(reader, |table| resolved(&table));
        let counts =
            |(frames, _, seen): (_, _, Seen)| (frames, [seen.samples, seen.calls, seen.weight]);
        let sites = AllocSite::rank(stacks.into_iter().map(counts));
        AllocProfile { samples: sites.iter().map(|site| site.samples).sum(), lost, sites }
    }
}

impl Drop for AllocSites {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            end(reader, drop);
        }
    }
}

fn end<R>(reader: Reader, with: impl FnOnce(Table) -> R) -> (R, u64) {
    lob_scope::set_alloc_hook(None);
    PERIOD_BYTES.store(0, Ordering::Release);
    let table = reader.stop();
    let lost = CAPTURES.get().map_or(0, Captures::take_lost);
    TAKEN.store(false, Ordering::Release);
    (with(table), lost)
}

/// Counts down to the next sample. Called from the allocator: no allocation, no panic.
extern "C" fn note_alloc(bytes: usize) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    if let Some(left) = countdown::take(bytes).filter(|left| *left <= 0) {
        sample(bytes, left);
    }
}

#[inline(never)]
fn sample(bytes: i64, left: i64) {
    let period = i64::try_from(PERIOD_BYTES.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
    if period == 0 {
        return;
    }
    // A block larger than the distance stands for as many samples as fit into it.
    let passed = 1 + left.saturating_neg() / period;
    let next = passed.saturating_mul(period).saturating_add(left).max(1);
    countdown::set(jittered(next, period));
    if let Some(captures) = CAPTURES.get() {
        let weight = passed.saturating_mul(period).cast_unsigned();
        captures.capture(Registers::here(), weight, bytes.max(1).cast_unsigned());
    }
}

/// A distance between half and one and a half of the mean one, give or take the rest left over.
/// The generator is Marsaglia's xorshift ("Xorshift RNGs", 2003).
fn jittered(next: i64, period: i64) -> i64 {
    let dice = DICE.try_with(|dice| {
        let mut x = dice.get() ^ std::ptr::from_ref(dice) as u64;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        dice.set(x);
        x
    });
    let roll = i64::try_from(dice.unwrap_or(0) % period.cast_unsigned()).unwrap_or(0);
    (next + roll - period / 2).max(1)
}
