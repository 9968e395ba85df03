//! Spans of `tracing` and NVTX ranges: what other tools send and what they receive.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lob_scope::{ScopeLayer, TraceKind, disable_trace, enable_trace, scope, take_trace};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::scopes::{alone, taken};

fn with_layer<R>(work: impl FnOnce() -> R) -> R {
    let subscriber = tracing_subscriber::registry().with(ScopeLayer::new());
    tracing::subscriber::with_default(subscriber, work)
}

fn calls(root: &str) -> Vec<(String, u64)> {
    taken(root).into_iter().map(|s| (s.path, s.calls)).collect()
}

fn expected(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(path, calls)| ((*path).to_owned(), *calls)).collect()
}

#[test]
fn spans_nest_with_scopes_on_every_thread() {
    let _alone = alone();
    let subscriber = tracing_subscriber::registry().with(ScopeLayer::new());
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, || {
        let request = tracing::info_span!("span request");
        let inside = request.enter();
        drop(scope("own scope"));
        tracing::info_span!("parse").in_scope(|| drop(scope("own scope")));
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (span, dispatch) = (request.clone(), dispatch.clone());
                std::thread::spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        let _inside = span.enter();
                        tracing::info_span!("work").in_scope(|| ());
                    });
                })
            })
            .collect();
        workers.into_iter().for_each(|w| w.join().unwrap());
        drop(inside);
    });
    let root = "span request";
    let paths = [
        (root, 4),
        ("span request/own scope", 1),
        ("span request/parse", 1),
        ("span request/parse/own scope", 1),
        ("span request/work", 3),
    ];
    assert_eq!(calls(root), expected(&paths));
}

#[test]
fn an_instrumented_future_counts_its_polls_and_spans_survive_panics() {
    use std::task::{Context, Poll, Waker};
    let _alone = alone();
    with_layer(|| {
        let mut left = 3;
        let future = std::future::poll_fn(move |_| {
            left -= 1;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        let mut task = std::pin::pin!(future.instrument(tracing::info_span!("span task")));
        let mut context = Context::from_waker(Waker::noop());
        while task.as_mut().poll(&mut context).is_pending() {
            drop(scope("between polls"));
        }
        let caught = std::panic::catch_unwind(|| {
            let _span = tracing::info_span!("span panics").entered();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(caught.is_err());
    });
    drop(scope("after the spans"));
    let all: BTreeMap<String, u64> =
        lob_scope::take_scopes().into_iter().map(|s| (s.path, s.calls)).collect();
    // The last poll, and the drop of the finished future, which `tracing` enters the span for.
    assert!((3..=4).contains(&all["span task"]), "{all:?}");
    assert_eq!((all["between polls"], all["span panics"], all["after the spans"]), (2, 1, 1));
}

#[test]
fn numbers_among_the_fields_of_a_span_are_in_the_trace() {
    let _alone = alone();
    enable_trace(100);
    let _ = take_trace();
    with_layer(|| {
        let span = tracing::info_span!(
            "span fields",
            rows = 7u64,
            share = 0.5,
            ok = true,
            name = "text",
            late = tracing::field::Empty
        );
        span.record("late", -3);
        span.in_scope(|| ());
    });
    disable_trace();
    let trace = take_trace();
    let event = trace.events.iter().find(|e| e.name == "span fields").unwrap();
    let TraceKind::Scope { fields, .. } = &event.kind else { panic!("{event:?}") };
    assert_eq!(fields, &[("rows", 7.0), ("share", 0.5), ("ok", 1.0), ("late", -3.0)]);
}

/// A library that listens to NVTX as a profiler does, and writes down what it hears.
const LISTENER: &str = r#"
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io::Write;

fn note(text: &str) {
    let path = std::env::var_os("NVTX_LISTENER_LOG").unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{text}").unwrap();
}

unsafe extern "C" fn push(name: *const c_char) -> c_int {
    note(&format!("push {}", unsafe { CStr::from_ptr(name) }.to_str().unwrap()));
    0
}

unsafe extern "C" fn pop() -> c_int {
    note("pop");
    0
}

#[repr(C)]
pub struct Callbacks {
    size: usize,
    table: extern "C" fn(c_int, *mut *const *mut *const c_void, *mut c_uint) -> c_int,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn InitializeInjectionNvtx2(
    export: extern "C" fn(c_uint) -> *const Callbacks,
) -> c_int {
    let callbacks = unsafe { &*export(1) };
    assert_eq!(callbacks.size, size_of::<Callbacks>());
    assert!(!export(3).is_null() && export(99).is_null());
    let (mut table, mut size) = (std::ptr::null(), 0);
    assert_eq!((callbacks.table)(1, &mut table, &mut size), 1);
    assert_eq!(size, 16);
    unsafe {
        **table.add(9) = push as *const c_void;
        **table.add(11) = pop as *const c_void;
    }
    1
}
"#;

fn compiled(dir: &Path) -> std::path::PathBuf {
    let (source, library) = (dir.join("listener.rs"), dir.join("liblistener.so"));
    std::fs::write(&source, LISTENER).unwrap();
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let status = Command::new(if rustc.exists() { rustc } else { "rustc".into() })
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .unwrap();
    assert!(status.success(), "the listener does not compile");
    library
}

#[cfg(target_os = "linux")]
#[test]
fn a_profiler_of_nvidias_hears_ranges_and_scopes() {
    let dir = std::env::temp_dir().join(format!("lob-nvtx-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (library, log) = (compiled(&dir), dir.join("heard.txt"));
    let run = |injection: &Path| {
        let mut command = Command::new(crate::example("ranges"));
        command.env("NVTX_INJECTION64_PATH", injection).env("NVTX_LISTENER_LOG", &log);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&library), "");
    let heard = std::fs::read_to_string(&log).unwrap();
    let long = format!("push {}", "\u{e9}".repeat(63));
    let heard: Vec<&str> = heard.lines().collect();
    let expected = [
        "push trading_pipeline",
        "push features",
        "pop",
        "push model",
        "pop",
        "push signals",
        "pop",
        long.as_str(),
        "pop",
        "pop",
    ];
    assert_eq!(heard, expected);
    // A library that is none, and one that is not there.
    std::fs::write(dir.join("empty.so"), "").unwrap();
    for name in ["empty.so", "none.so"] {
        assert!(run(&dir.join(name)).contains("cannot be loaded"), "{name}");
    }
    assert!(run(Path::new("")).contains("unavailable"), "without anybody listening");
    std::fs::remove_dir_all(&dir).unwrap();
}
