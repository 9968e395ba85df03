//! One stretch of work measured from every side.

use std::hint::black_box;
use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lob_metrics::Unit;
use lob_profiler::{Profile, ProfileGuard, ProfiledFuture, profile};
use lob_scope::OTHER_NAMES;

#[test]
fn a_profile_holds_time_memory_scopes_and_a_timeline() {
    let (sum, profile) = profile("profiled work", Duration::from_millis(1), || {
        let _scope = lob_scope::scope("inner \"part\"");
        let block = black_box(vec![1u8; 16 << 20]);
        block.iter().map(|byte| u64::from(*byte)).sum::<u64>()
    });
    assert_eq!(sum, 16 << 20);
    let value = |metric: &str| {
        let found = profile.measurements.iter().find(|m| m.metric == metric).unwrap();
        assert!(found.value().is_some() || found.reason().is_some(), "{metric}");
        found.value()
    };
    assert!(value("wall_time").unwrap() > 0.0);
    #[cfg(target_os = "linux")]
    {
        assert!(value("cpu_time").unwrap() > 0.0);
        assert!(value("peak_rss").unwrap() > (16 << 20) as f64);
        assert!(value("page_faults.minor").unwrap() > 0.0);
        assert!(profile.timeline.iter().any(|t| t.metric == "rss" && t.unit == Unit::Bytes));
    }
    let paths: Vec<&str> = profile.scopes.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["profiled work", "profiled work/inner \"part\""]);
    let scenario = profile.into_scenario("tests");
    assert_eq!((scenario.id.as_str(), scenario.scopes.len()), ("profiled work", 2));
}

fn paths(profile: &Profile) -> Vec<&str> {
    profile.scopes.iter().map(|scope| scope.path.as_str()).collect()
}

const TICK: Duration = Duration::from_millis(1);

#[test]
fn nested_profiles_leave_the_outer_one_its_stages() {
    let ((load, train), whole) = profile("pipeline", TICK, || {
        let (_, load) = profile("load", TICK, || std::thread::sleep(4 * TICK));
        let (_, train) = profile("train", TICK, || std::thread::sleep(8 * TICK));
        (load, train)
    });
    assert_eq!((paths(&load), paths(&train)), (vec!["load"], vec!["train"]));
    assert_eq!(paths(&whole), ["pipeline", "pipeline/load", "pipeline/train"]);
    let [whole, load_part, train_part] = &whole.scopes[..] else { panic!("three scopes") };
    assert!(whole.total_s >= 12e-3 && load_part.total_s >= 4e-3 && train_part.total_s >= 8e-3);
    assert!((whole.total_s - whole.self_s - load_part.self_s - train_part.self_s).abs() < 1e-9);
    assert!(load.wall_s >= load_part.total_s && train.wall_s >= train_part.total_s);
}

#[test]
fn concurrent_profiles_do_not_mix() {
    let gate = std::sync::Barrier::new(3);
    let profiles: Vec<Profile> = std::thread::scope(|spawner| {
        let run = |request: usize| {
            let gate = &gate;
            spawner.spawn(move || {
                let work = || {
                    gate.wait();
                    drop(lob_scope::scope!("inner_{}", request));
                    gate.wait();
                };
                profile(&format!("request_{request}"), TICK, work).1
            })
        };
        let threads = [run(0), run(1), run(2)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (request, profile) in profiles.iter().enumerate() {
        let name = format!("request_{request}");
        assert_eq!(paths(profile), [name.clone(), format!("{name}/inner_{request}")]);
    }
}

#[test]
fn a_panic_inside_leaves_nothing_switched_on_and_the_next_profile_is_whole() {
    let before = lob_scope::is_enabled();
    let caught = std::panic::catch_unwind(|| {
        profile("panics", TICK, || {
            let _scope = lob_scope::scope("inside");
            std::panic::resume_unwind(Box::new("on purpose"));
        });
    });
    assert!(caught.is_err());
    assert_eq!(lob_scope::is_enabled(), before);
    let (_, next) = profile("next", TICK, || drop(lob_scope::scope("inside")));
    assert_eq!(paths(&next), ["next", "next/inside"]);
}

#[test]
fn a_guard_is_a_profile_without_a_closure() {
    let running = ProfileGuard::start("guarded", TICK);
    drop(lob_scope::scope("part"));
    let profile = running.finish();
    assert_eq!(paths(&profile), ["guarded", "guarded/part"]);
    drop(ProfileGuard::start("abandoned", TICK));
    let (_, next) = profile_of_nothing();
    assert_eq!(paths(&next), ["nothing"]);
}

fn profile_of_nothing() -> ((), Profile) {
    profile("nothing", TICK, || ())
}

/// Pending once, so that the future is polled twice.
struct Later(bool);

impl Future for Later {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn futures_that_take_turns_on_two_threads_are_told_apart() {
    let task = |name: &'static str| {
        let work = async move {
            drop(lob_scope::scope!("{}_first", name));
            Later(false).await;
            drop(lob_scope::scope!("{}_second", name));
            name.len()
        };
        Box::pin(ProfiledFuture::new("task", TICK, work))
    };
    let (mut a, mut b) = (task("a"), task("bb"));
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        a.as_mut().poll(&mut context).is_pending() && b.as_mut().poll(&mut context).is_pending()
    );
    let ended = std::thread::spawn(move || {
        let mut context = Context::from_waker(Waker::noop());
        [b.as_mut().poll(&mut context), a.as_mut().poll(&mut context)]
    });
    let [Poll::Ready((two, b)), Poll::Ready((one, a))] = ended.join().unwrap() else {
        panic!("both are done after two polls")
    };
    assert_eq!((one, two), (1, 2));
    assert_eq!(paths(&a), ["task", "task/a_first", "task/a_second"]);
    assert_eq!(paths(&b), ["task", "task/bb_first", "task/bb_second"]);
    assert_eq!((a.scopes[0].calls, b.scopes[0].calls), (2, 2), "polls");
    let instructions = a.measurements.iter().find(|m| m.metric == "instructions").unwrap();
    assert!(instructions.reason().unwrap().contains("between threads"));
}

#[test]
fn names_past_the_limit_are_recorded_together_and_warned_of_once() {
    // The limit holds for a whole process, so another one is driven into it.
    let output = Command::new(crate::example("behave")).arg("names").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let limit = lob_scope::MAX_DYNAMIC_NAMES as u64;
    let refused = 100;
    assert_eq!(lines[0], format!("{} scopes", limit + 1), "{text}");
    assert_eq!(lines[1], format!("{refused} calls of {OTHER_NAMES}"), "{text}");
    assert!(lines[2].starts_with(&format!("{refused} calls")), "{text}");
    assert_eq!(lines.len(), 3, "one warning: {text}");
}
