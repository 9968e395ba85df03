//! Tasks and spans as scopes, and what all of it cost:
//! `cargo run --release -p lob-scope --features tracing --example tasks`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use lob_scope::{ScopeLayer, ScopedFuture, alloc_stats, reset_alloc_peak, thread_alloc_stats};
use tracing_subscriber::layer::SubscriberExt;

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

/// A future that is ready when it is asked for the third time.
struct Thrice(u32);

impl Future for Thrice {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        self.0 += 1;
        if self.0 == 3 { Poll::Ready(self.0) } else { Poll::Pending }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    lob_scope::enable(true);
    reset_alloc_peak();
    let before = thread_alloc_stats();
    // Each poll is a call of the scope.
    let mut task = pin!(ScopedFuture::new("fetch", Thrice(0)));
    let mut context = Context::from_waker(Waker::noop());
    while task.as_mut().poll(&mut context).is_pending() {}
    // A library that knows `tracing` only.
    let subscriber = tracing_subscriber::registry().with(ScopeLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("decode").in_scope(|| vec![0u8; 1000].len())
    });
    let scopes = lob_scope::take_scopes();
    for scope in &scopes {
        println!("{:<8} {} calls, {:.9} s", scope.path, scope.calls, scope.total_s);
    }
    let calls: Vec<(&str, u64)> = scopes.iter().map(|s| (s.path.as_str(), s.calls)).collect();
    assert_eq!(calls, [("decode", 1), ("fetch", 3)]);
    let cost_s = lob_scope::scope_calls_total() as f64 * lob_scope::calibrate_scope_cost();
    println!("scopes have cost {cost_s:.9} s; {} were dropped", lob_scope::scopes_dropped());
    let allocated = thread_alloc_stats().allocated_bytes - before.allocated_bytes;
    println!("{allocated} bytes allocated here, peak {}", alloc_stats().peak_bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
        super::main()
    }
}
