//! Scopes across threads, panics and looks.
//!
//! `take_scopes` hands out everything once, to whoever asks first, so the tests that take hold a
//! lock and look only at scopes of their own.

use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lob_scope::{ScopeStat, enable, scope, take_scopes};

static TAKING: Mutex<()> = Mutex::new(());

/// Starts from an empty slate, alone.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    let guard = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    enable(true);
    let _ = take_scopes();
    guard
}

/// The scopes at and below `root`.
pub(crate) fn taken(root: &str) -> Vec<ScopeStat> {
    let below = format!("{root}/");
    take_scopes().into_iter().filter(|s| s.path == root || s.path.starts_with(&below)).collect()
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn self_times_add_up_to_the_outermost_total() {
    let _alone = alone();
    {
        let _a = scope("sum");
        spin(MS);
        for _ in 0..3 {
            let _b = scope("b");
            spin(MS);
            let _c = scope("c");
            spin(MS);
        }
    }
    let stats = taken("sum");
    let paths: Vec<&str> = stats.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["sum", "sum/b", "sum/b/c"]);
    assert_eq!(stats.iter().map(|s| s.calls).collect::<Vec<_>>(), [1, 3, 3]);
    let own: f64 = stats.iter().map(|s| s.self_s).sum();
    assert!((own - stats[0].total_s).abs() < 1e-9, "{own} of {}", stats[0].total_s);
    assert!(stats[0].total_s >= 6.9e-3 && stats[1].total_s >= 5.9e-3 && stats[2].total_s >= 2.9e-3);
    for s in &stats {
        assert!(
            s.min_s <= s.p50_s && s.p50_s <= s.p95_s && s.p95_s <= s.p99_s && s.p99_s <= s.max_s
        );
        assert!(s.max_s <= s.total_s);
    }
}

#[test]
fn threads_are_merged_also_when_they_have_ended() {
    let _alone = alone();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..250 {
                    let _outer = scope("merged");
                    let _inner = scope("part");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    let stats = taken("merged");
    assert_eq!(stats.iter().map(|s| s.calls).collect::<Vec<_>>(), [1000, 1000]);
    assert!((stats[0].self_s + stats[1].self_s - stats[0].total_s).abs() < 1e-9);
}

#[test]
fn taking_resets() {
    let _alone = alone();
    drop(scope("once"));
    assert_eq!(taken("once").len(), 1);
    assert_eq!(taken("once").len(), 0);
    drop(scope("once"));
    assert_eq!(taken("once")[0].calls, 1);
}

#[test]
fn a_panic_closes_its_scopes() {
    let _alone = alone();
    let caught = std::panic::catch_unwind(|| {
        let _a = scope("panics");
        let _b = scope("deep");
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(caught.is_err());
    drop(scope("after the panic"));
    let all = take_scopes();
    let calls = |path: &str| all.iter().find(|s| s.path == path).map(|s| s.calls);
    assert_eq!(calls("panics"), Some(1));
    assert_eq!(calls("panics/deep"), Some(1));
    assert_eq!(calls("after the panic"), Some(1), "the panic left a scope open");
}

#[test]
fn an_open_scope_is_reported_so_far_and_only_once() {
    let _alone = alone();
    let (to_main, from_thread) = mpsc::channel();
    let (to_thread, from_main) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _open = scope("open");
        {
            let _child = scope("child");
            spin(2 * MS);
        }
        to_main.send(()).unwrap();
        from_main.recv().unwrap();
    });
    from_thread.recv().unwrap();
    let first = taken("open");
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].calls, 1);
    assert!(first[0].total_s >= first[1].total_s && first[1].total_s >= 1.9e-3);
    to_thread.send(()).unwrap();
    thread.join().unwrap();
    let second = taken("open");
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].calls, 0, "the call was already reported");
    assert!(second[0].total_s <= second[0].max_s, "only the rest of its time is new");
}

#[test]
fn guards_dropped_out_of_order_do_not_bend_the_tree() {
    let _alone = alone();
    let outer = scope("first out");
    let inner = scope("last out");
    drop(outer);
    drop(inner);
    drop(scope("sibling"));
    let paths: Vec<String> = take_scopes().into_iter().map(|s| s.path).collect();
    assert!(paths.contains(&"first out/last out".to_owned()), "{paths:?}");
    assert!(paths.contains(&"sibling".to_owned()), "{paths:?}");
}

#[test]
fn parents_come_first_also_for_names_with_slashes() {
    let _alone = alone();
    {
        let _a = scope("slash");
        drop(scope("x/y"));
        drop(scope("x"));
    }
    let paths: Vec<String> = taken("slash").into_iter().map(|s| s.path).collect();
    assert_eq!(paths, ["slash", "slash/x", "slash/x/y"]);
}

#[test]
fn calibration_leaves_no_trace() {
    let _alone = alone();
    let cost = lob_scope::calibrate_scope_cost();
    assert!(cost > 0.0 && cost < 1e-4, "{cost}");
    assert!(take_scopes().iter().all(|s| !s.path.contains("calibration")));
}

#[test]
fn calls_in_total_only_grow() {
    let _alone = alone();
    let before = lob_scope::scope_calls_total();
    (0..10).for_each(|_| drop(scope("counted")));
    assert!(lob_scope::scope_calls_total() >= before + 10);
}
