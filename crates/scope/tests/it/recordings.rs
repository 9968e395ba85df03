//! Each recording has the scopes of its own stretch of work, whatever others record meanwhile.

use std::sync::Barrier;

use lob_scope::{ScopeRecording, ScopeStat, enable, is_enabled, scope, take_scopes};

use crate::scopes::alone;

fn paths(scopes: &[ScopeStat]) -> Vec<(&str, u64)> {
    scopes.iter().map(|s| (s.path.as_str(), s.calls)).collect()
}

/// `name` with a step inside.
fn recorded(name: &str, step: &'static str) -> Vec<ScopeStat> {
    let recording = ScopeRecording::start(name);
    {
        let _whole = recording.enter();
        let _step = scope(step);
    }
    recording.finish().scopes
}

#[test]
fn nested_recordings_each_have_their_own_and_the_outer_has_the_inner() {
    let _alone = alone();
    let outer = ScopeRecording::start("pipeline");
    let mut inner = Vec::new();
    {
        let _outer = outer.enter();
        for stage in ["load", "train", "load"] {
            inner.push(recorded(stage, "step"));
        }
    }
    let outer = outer.finish().scopes;
    assert_eq!(paths(&inner[0]), [("load", 1), ("load/step", 1)]);
    assert_eq!(paths(&inner[1]), [("train", 1), ("train/step", 1)]);
    assert_eq!(paths(&inner[2]), [("load", 1), ("load/step", 1)], "the second call alone");
    assert_eq!(
        paths(&outer),
        [
            ("pipeline", 1),
            ("pipeline/load", 2),
            ("pipeline/load/step", 2),
            ("pipeline/train", 1),
            ("pipeline/train/step", 1)
        ]
    );
    assert!(outer[0].total_s >= outer[1].total_s + outer[3].total_s && outer[0].total_s > 0.0);
    let own: f64 = outer.iter().map(|s| s.self_s).sum();
    assert!((own - outer[0].total_s).abs() < 1e-9);
}

#[test]
fn recordings_on_several_threads_do_not_mix() {
    let _alone = alone();
    let (begun, stepped) = (Barrier::new(4), Barrier::new(4));
    let all: Vec<Vec<ScopeStat>> = std::thread::scope(|spawner| {
        let run = |name: &'static str, step: &'static str| {
            let (begun, stepped) = (&begun, &stepped);
            spawner.spawn(move || {
                let recording = ScopeRecording::start(name);
                let guard = recording.enter();
                begun.wait();
                for _ in 0..10 {
                    drop(scope(step));
                }
                // All four are open until all have stepped.
                stepped.wait();
                drop(guard);
                recording.finish().scopes
            })
        };
        // Two of one name, too.
        let threads = [run("request", "a"), run("request", "b"), run("other", "c"), run("x", "d")];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(paths(&all[0]), [("request", 1), ("request/a", 10)]);
    assert_eq!(paths(&all[1]), [("request", 1), ("request/b", 10)]);
    assert_eq!(paths(&all[2]), [("other", 1), ("other/c", 10)]);
    assert_eq!(paths(&all[3]), [("x", 1), ("x/d", 10)]);
}

#[test]
fn workers_without_a_recording_belong_to_those_open_meanwhile() {
    let _alone = alone();
    let recording = ScopeRecording::start("batch");
    {
        let _batch = recording.enter();
        let work = || drop(scope("worker step"));
        std::thread::spawn(work).join().unwrap();
    }
    let scopes = recording.finish().scopes;
    assert_eq!(paths(&scopes), [("batch", 1), ("worker step", 1)]);
}

#[test]
fn what_was_collected_before_is_left_to_its_reader() {
    let _alone = alone();
    drop(scope("before"));
    let scopes = recorded("meanwhile", "step");
    assert_eq!(paths(&scopes), [("meanwhile", 1), ("meanwhile/step", 1)]);
    let all = take_scopes();
    assert_eq!(paths(&all), [("before", 1), ("meanwhile", 1), ("meanwhile/step", 1)]);
    let (mine, theirs) = (&scopes[1], &all[2]);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3 * b;
    assert!(near(mine.min_s, theirs.min_s) && near(mine.max_s, theirs.max_s), "shared");
}

#[test]
fn extremes_are_those_of_the_recording() {
    let _alone = alone();
    let long = std::time::Duration::from_millis(3);
    {
        let _first = scope("first");
        let _slow = scope("sleep");
        std::thread::sleep(long);
    }
    let outer = ScopeRecording::start("first");
    let _outer = outer.enter();
    drop(scope("sleep"));
    drop(_outer);
    let scopes = outer.finish().scopes;
    assert!(scopes[1].max_s < long.as_secs_f64(), "the long call came before");
    let all = take_scopes();
    let sleep = all.iter().find(|s| s.path == "first/sleep").unwrap();
    assert!(sleep.calls == 2 && sleep.max_s >= long.as_secs_f64() && sleep.min_s < sleep.max_s);
}

#[test]
fn a_panic_ends_the_recording_and_the_switch_is_as_before() {
    let _alone = alone();
    enable(false);
    let caught = std::panic::catch_unwind(|| {
        let recording = ScopeRecording::start("panics");
        let _whole = recording.enter();
        assert!(is_enabled());
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(caught.is_err() && !is_enabled());
    let (a, b) = (ScopeRecording::start("a"), ScopeRecording::start("b"));
    drop(a);
    assert!(is_enabled(), "the other one is still open");
    enable(false);
    assert!(is_enabled());
    drop(b);
    assert!(!is_enabled());
    enable(true);
}

#[test]
fn a_name_made_at_run_time_may_repeat_without_end() {
    let _alone = alone();
    for request in 0..300 {
        let scopes = recorded(&format!("request_{}", request % 50), "inner");
        assert_eq!(scopes.len(), 2);
        assert_eq!(scopes[0].path, format!("request_{}", request % 50));
        assert_eq!((scopes[0].calls, scopes[1].calls), (1, 1));
    }
}
