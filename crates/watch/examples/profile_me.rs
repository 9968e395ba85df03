//! Scopes, allocations, memory over time, a trace and a flame graph of a small loader and trainer:
//! `cargo run --example profile_me -- DIRECTORY`.

use std::{path::PathBuf, sync::mpsc, time::Duration};

use lob_profiler::{self as lob, Flow, scope};

#[global_allocator]
static ALLOCATOR: lob::CountingAllocator = lob::CountingAllocator;

fn main() -> std::io::Result<()> {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    lob::enable_trace(10_000);
    lob::track_scope_allocs(true);
    let (_, profile) = lob::profile("example", Duration::from_millis(1), || {
        let (send, receive) = mpsc::sync_channel::<(Flow, Vec<f32>)>(4);
        let trainer = std::thread::spawn(move || receive.into_iter().map(train).sum::<f32>());
        for batch in 0..20 {
            let _scope = scope!("render");
            lob::scope_field("batch", f64::from(batch));
            let image = (0..100_000).map(|i| (i as f32 * 0.1).sin()).collect();
            let _ = send.send((Flow::start("batch"), image));
        }
        drop(send);
        trainer.join()
    });
    std::fs::write(dir.join("trace.json"), lob::take_trace().to_chrome_json())?;
    std::fs::write(dir.join("flame.svg"), lob::flame_graph_svg(&profile.scopes, "example"))?;
    std::fs::write(dir.join("profile.folded"), lob::folded_stacks(&profile.scopes))?;
    std::fs::write(dir.join("metrics.prom"), lob::prometheus_text(&profile))
}

fn train((flow, image): (Flow, Vec<f32>)) -> f32 {
    let _scope = scope!("train");
    flow.end();
    let _forward = scope!("forward");
    image.iter().map(|x| x * x).sum()
}
