//! The counting allocator, which is this binary's global one.

use std::cell::Cell;
use std::hint::black_box;

use lob_scope::{alloc_stats, reset_alloc_peak, set_alloc_hook, thread_alloc_stats};

#[test]
fn a_block_is_counted_exactly_on_its_thread() {
    let before = thread_alloc_stats();
    let block = black_box(Vec::<u8>::with_capacity(12_345));
    let held = thread_alloc_stats();
    drop(block);
    let after = thread_alloc_stats();
    assert_eq!(held.allocations - before.allocations, 1);
    assert_eq!(held.allocated_bytes - before.allocated_bytes, 12_345);
    assert_eq!(held.live_bytes - before.live_bytes, 12_345);
    assert_eq!(after.deallocations - before.deallocations, 1);
    assert_eq!(after.live_bytes, before.live_bytes);
}

#[test]
fn growing_counts_what_it_grew_by() {
    let mut block = Vec::<u8>::with_capacity(1000);
    let before = thread_alloc_stats();
    block.reserve_exact(5000);
    let after = thread_alloc_stats();
    black_box(&block);
    assert_eq!(after.reallocations - before.reallocations, 1);
    assert_eq!(after.allocated_bytes - before.allocated_bytes, 4000);
    assert_eq!(after.freed_bytes, before.freed_bytes);
}

#[test]
fn ended_threads_stay_counted() {
    let before = alloc_stats();
    let threads: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(|| (0..100).for_each(|n| drop(black_box(vec![0u8; 10 + n])))))
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let after = alloc_stats();
    assert!(after.allocations - before.allocations >= 800);
    assert!(after.deallocations - before.deallocations >= 800);
}

#[test]
fn a_block_freed_elsewhere_makes_that_thread_negative() {
    let block = vec![0u8; 1 << 20];
    let change = std::thread::spawn(move || {
        let before = thread_alloc_stats().live_bytes;
        drop(black_box(block));
        thread_alloc_stats().live_bytes - before
    });
    assert_eq!(change.join().unwrap(), -(1 << 20));
}

#[test]
fn the_peak_outlives_the_block() {
    const BIG: i64 = 64 << 20;
    reset_alloc_peak();
    let floor = alloc_stats().live_bytes;
    drop(black_box(vec![0u8; BIG as usize]));
    // Other tests allocate and free a few megabytes at the same time.
    let peak = alloc_stats().peak_bytes;
    assert!(peak - floor > BIG - (8 << 20), "peak {peak}, floor {floor}");
}

#[test]
fn scopes_do_not_allocate_once_they_are_known() {
    let _alone = crate::scopes::alone();
    let work = || {
        let _outer = lob_scope::scope!("steady");
        let _inner = lob_scope::scope!("steady inner");
    };
    work();
    let before = thread_alloc_stats();
    (0..1000).for_each(|_| work());
    assert_eq!(
        thread_alloc_stats(),
        lob_scope::AllocStats { peak_bytes: thread_alloc_stats().peak_bytes, ..before }
    );
}

#[test]
fn allocations_are_charged_to_the_scope_that_made_them() {
    let _alone = crate::scopes::alone();
    lob_scope::track_scope_allocs(true);
    let _ = lob_scope::take_scope_allocs().unwrap();
    let mut kept = Vec::with_capacity(2);
    for _ in 0..2 {
        let _outer = lob_scope::scope("charged");
        kept.push(black_box(vec![1u8; 1000]));
        let _inner = lob_scope::scope("inner");
        drop(black_box(vec![1u8; 500]));
    }
    let allocs = lob_scope::take_scope_allocs().unwrap();
    lob_scope::track_scope_allocs(false);
    let of = |path: &str| allocs.iter().find(|a| a.path == path).unwrap();
    // The first look at a scope makes its node, which is charged to the scope around it.
    let inner = of("charged/inner");
    assert_eq!((inner.allocations, inner.allocated_bytes, inner.net_bytes), (2, 1000, 0));
    assert_eq!(inner.self_allocations, 2);
    let outer = of("charged");
    assert!(outer.allocated_bytes >= 3000 && outer.net_bytes >= 2000, "{outer:?}");
    assert_eq!(outer.self_allocated_bytes, outer.allocated_bytes - 1000);
    assert!(lob_scope::take_scope_allocs().unwrap().iter().all(|a| a.path != "charged"));
}

/// Blocks made on one thread and freed on any other, as channels do it: each is counted where it is
/// made and where it is freed, and none twice or not at all.
#[test]
fn blocks_that_wander_between_threads_balance_exactly() {
    const SLOTS: usize = 16;
    let slots: [std::sync::Mutex<Vec<u8>>; SLOTS] = Default::default();
    let wander = |seed: u64| {
        let before = thread_alloc_stats().live_bytes;
        let mut random = seed;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let (slot, size) = (random >> 60, (random >> 40) & 0xfff);
            let mut block = Vec::with_capacity(size as usize);
            if random & 0x1_0000 != 0 {
                block.reserve_exact(2 * size as usize + 1);
            }
            let old = std::mem::replace(&mut *slots[slot as usize].lock().unwrap(), block);
            drop(black_box(old));
        }
        thread_alloc_stats().live_bytes - before
    };
    let live: i64 = std::thread::scope(|threads| {
        let all: Vec<_> = (1..=8)
            .map(|seed| {
                threads.spawn({
                    let wander = &wander;
                    move || wander(seed << 32)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let left: usize = slots.iter().map(|slot| slot.lock().unwrap().capacity()).sum();
    assert_eq!(live, left as i64);
}

thread_local! {
    static HOOKED_BYTES: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn add_bytes(bytes: usize) {
    let _ = HOOKED_BYTES.try_with(|sum| sum.set(sum.get() + bytes));
}

#[test]
fn the_hook_is_called_for_what_is_allocated_until_it_is_taken_away() {
    set_alloc_hook(Some(add_bytes));
    let mut block = black_box(Vec::<u8>::with_capacity(1000));
    block.reserve_exact(3000);
    set_alloc_hook(None);
    drop(black_box(vec![1u8; 5000]));
    // 1000 at first, grown by 2000; what came after the hook was taken away is not counted.
    assert_eq!(HOOKED_BYTES.get(), 3000);
    drop(block);
}
