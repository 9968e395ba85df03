//! What scopes themselves cost. A slowdown here is a slowdown of everything that is profiled.
//!
//! The table printed first pairs each subject with its reference in one interleaved run, so that a
//! busy machine disturbs both alike; [`spread`] has siblings, threads and cold caches. The criterion
//! benches follow.

#![expect(clippy::print_stdout, reason = "the table is this program's output")]

mod spread;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group};
use lob_scope::{CountingAllocator, ScopeLayer, enable, rss_bytes, scope};

/// Calls per batch: tens of microseconds, well below a time slice.
const CALLS: u32 = 2000;
const ROUNDS: usize = 500;

#[cfg(target_arch = "x86_64")]
#[inline]
fn clock_read() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 CPU and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn clock_read() -> u64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().subsec_nanos().into()
}

#[inline]
fn two_clock_reads() {
    let from = black_box(clock_read());
    black_box(clock_read().wrapping_sub(from));
}

#[inline]
fn one_scope() {
    drop(black_box(scope("bench")));
}

/// As it is written in programs: nothing forces the guard into memory.
#[inline]
fn one_scope_plain() {
    let _scope = scope("bench");
    black_box(());
}

#[inline]
fn one_traced() {
    let _scope = scope("traced");
}

#[inline]
fn one_tracing_span() {
    let _span = tracing::info_span!("bench").entered();
}

#[inline]
fn one_puffin_scope() {
    puffin::profile_scope!("bench");
}

#[inline]
fn one_fastrace_span() {
    let _span = fastrace::local::LocalSpan::enter_with_local_parent("bench");
}

/// Opens a frame or a root around a batch, as these libraries expect, and closes it outside the
/// timed part.
fn puffin_batch() -> f64 {
    puffin::set_scopes_on(true);
    let ns = batch_ns(one_puffin_scope);
    puffin::GlobalProfiler::lock().new_frame();
    ns
}

/// Spans fastrace has handed over, to show that it did its work.
static FASTRACE_SPANS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl fastrace::collector::Reporter for Counting {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        FASTRACE_SPANS.fetch_add(spans.len(), Ordering::Relaxed);
    }
}

fn fastrace_batch() -> f64 {
    let root = fastrace::Span::root("batch", fastrace::prelude::SpanContext::random());
    let _here = root.set_local_parent();
    batch_ns(one_fastrace_span)
}

fn tracing_batch() -> f64 {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::LookupSpan;
    struct Nothing;
    impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Nothing {}
    let registry = tracing_subscriber::registry().with(Nothing);
    tracing::subscriber::with_default(registry, || batch_ns(one_tracing_span))
}

/// The same spans, recorded as scopes.
fn layer_batch() -> f64 {
    use tracing_subscriber::layer::SubscriberExt;
    enable(true);
    let registry = tracing_subscriber::registry().with(ScopeLayer::new());
    tracing::subscriber::with_default(registry, || batch_ns(one_tracing_span))
}

fn traced_batch() -> f64 {
    lob_scope::enable_trace(2 * CALLS as usize);
    let ns = batch_ns(one_traced);
    lob_scope::disable_trace();
    black_box(lob_scope::take_trace());
    ns
}

#[inline]
fn four_nested() {
    let _a = scope("a");
    let _b = scope("b");
    let _c = scope("c");
    let _d = scope("d");
}

#[inline]
fn malloc_free(allocator: &impl GlobalAlloc) {
    let layout = Layout::new::<[u64; 8]>();
    // SAFETY: the layout is not empty, and the block is freed once with the same layout.
    unsafe {
        let block = black_box(allocator.alloc(layout));
        allocator.dealloc(block, layout);
    }
}

/// Nanoseconds per call over one batch, the loop around it included.
fn batch_ns(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

type Batch = (&'static str, fn() -> f64);

/// Runs the batches in turn, round after round, and prints the minimum and the median of each.
fn table(title: &str, batches: &[Batch]) {
    let mut samples = vec![Vec::with_capacity(ROUNDS); batches.len()];
    for _ in 0..ROUNDS {
        for ((_, batch), samples) in batches.iter().zip(&mut samples) {
            samples.push(batch());
        }
    }
    println!("{title:<34} {:>8} {:>8}  ns per call", "min", "median");
    for ((name, _), samples) in batches.iter().zip(&mut samples) {
        samples.sort_by(f64::total_cmp);
        println!("  {name:<32} {:>8.2} {:>8.2}", samples[0], samples[ROUNDS / 2]);
    }
}

fn tables() {
    spread::table();
    fastrace::set_reporter(Counting, fastrace::collector::Config::default());
    table(
        "scope",
        &[
            ("empty loop", || batch_ns(|| black_box(()))),
            ("two clock reads", || batch_ns(two_clock_reads)),
            ("enabled scope", || {
                enable(true);
                batch_ns(one_scope)
            }),
            ("enabled scope, plain guard", || {
                enable(true);
                batch_ns(one_scope_plain)
            }),
            ("four nested scopes", || {
                enable(true);
                batch_ns(four_nested)
            }),
            ("disabled scope", || {
                enable(false);
                batch_ns(one_scope)
            }),
        ],
    );
    table(
        "beside other libraries",
        &[
            ("scope", || {
                enable(true);
                batch_ns(one_scope_plain)
            }),
            ("scope, every call in the trace", traced_batch),
            ("tracing span, registry", tracing_batch),
            ("tracing span, as a scope", layer_batch),
            ("puffin scope", puffin_batch),
            ("fastrace local span", fastrace_batch),
        ],
    );
    fastrace::flush();
    let spans = FASTRACE_SPANS.load(Ordering::Relaxed);
    println!("  fastrace reported {spans} of {} spans", ROUNDS * CALLS as usize);
    table(
        "64 bytes, malloc and free",
        &[
            ("system allocator", || batch_ns(|| malloc_free(&System))),
            ("counting allocator", || batch_ns(|| malloc_free(&CountingAllocator))),
            ("counting allocator, with a hook", hooked_batch),
        ],
    );
}

/// The counting allocator with a hook that does nothing.
fn hooked_batch() -> f64 {
    extern "C" fn nothing(bytes: usize) {
        black_box(bytes);
    }
    lob_scope::set_alloc_hook(Some(nothing));
    let ns = batch_ns(|| malloc_free(&CountingAllocator));
    lob_scope::set_alloc_hook(None);
    ns
}

fn scopes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scope");
    group.throughput(Throughput::Elements(1));
    group.bench_function("two_clock_reads", |b| b.iter(two_clock_reads));
    enable(true);
    group.bench_function("enabled", |b| b.iter(one_scope));
    enable(false);
    group.bench_function("disabled", |b| b.iter(one_scope));
    group.finish();
}

fn allocator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allocator");
    group.throughput(Throughput::Elements(1));
    group.bench_function("system", |b| b.iter(|| malloc_free(&System)));
    group.bench_function("counting", |b| b.iter(|| malloc_free(&CountingAllocator)));
    group.finish();
}

fn sensors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sensor");
    group.throughput(Throughput::Elements(1));
    group.bench_function("rss_open_and_read", |b| b.iter(|| black_box(rss_bytes())));
    group.bench_function("process_cpu_time", |b| {
        b.iter(|| black_box(lob_scope::process_cpu_time_s()));
    });
    group.finish();
}

criterion_group!(benches, scopes, allocator, sensors);

fn main() {
    tables();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
