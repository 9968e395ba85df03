//! Where the time of a piece of work goes, with every call in a trace:
//! `cargo run --release -p lob-scope --example scopes [-- trace.json]` writes the trace for
//! ui.perfetto.dev.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::hint::black_box;

use lob_scope::{Flow, scope};

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

fn render(batch: u32) -> Vec<f32> {
    let _scope = scope!("render");
    lob_scope::scope_field("batch", f64::from(batch));
    (0..10_000u16).map(|i| black_box(f32::from(i) * 0.1).sin()).collect()
}

/// A producer and a consumer with a queue between them.
fn work() -> f32 {
    let _work = scope!("work");
    let (send, receive) = std::sync::mpsc::sync_channel::<(Flow, Vec<f32>)>(4);
    let train = move || {
        let step = |(flow, image): (Flow, Vec<f32>)| {
            let _scope = scope!("train");
            flow.end();
            image.iter().sum::<f32>()
        };
        receive.into_iter().map(step).sum::<f32>()
    };
    std::thread::scope(|threads| {
        let trainer = threads.spawn(train);
        for batch in 0..20 {
            let image = render(batch);
            let _ = send.send((Flow::start("batch"), image));
        }
        drop(send);
        trainer.join().unwrap_or(f32::NAN)
    })
}

fn run(trace_file: Option<&std::path::Path>) -> Result<(), Box<dyn Error>> {
    lob_scope::enable_trace(10_000);
    lob_scope::track_scope_allocs(true);
    work();
    lob_scope::disable_trace();
    for scope in lob_scope::take_scopes() {
        println!("{:<16} {:>4} calls, {:.6} s", scope.path, scope.calls, scope.total_s);
    }
    for allocs in lob_scope::take_scope_allocs()? {
        println!("{:<16} {:>8} bytes allocated", allocs.path, allocs.allocated_bytes);
    }
    let trace = lob_scope::take_trace();
    println!("{} events of {} threads", trace.events.len(), trace.threads.len());
    if let Some(file) = trace_file {
        std::fs::write(file, trace.to_chrome_json())?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    run(std::env::args_os().nth(1).map(std::path::PathBuf::from).as_deref())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_call_is_in_the_trace_it_writes() -> Result<(), Box<dyn std::error::Error>> {
        let name = format!("lob-scope-example-{}.json", std::process::id());
        let file = std::env::temp_dir().join(name);
        super::run(Some(&file))?;
        let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        let events = trace["traceEvents"].as_array().ok_or("no events")?;
        let calls =
            |name: &str| events.iter().filter(|e| e["name"] == name && e["ph"] == "X").count();
        assert_eq!((calls("work"), calls("render"), calls("train")), (1, 20, 20));
        std::fs::remove_file(&file)?;
        Ok(())
    }
}
