//! Scopes, allocations, memory over time, a trace and a flame graph of a small loader and trainer:
//! `cargo run --release -p lob-profiler --example profile_me -- DIRECTORY`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use lob_scope::{Flow, scope};

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

fn main() -> Result<(), Box<dyn Error>> {
    run(&PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned())))
}

fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    lob_scope::enable_trace(10_000);
    lob_scope::track_scope_allocs(true);
    let (_, profile) = lob_profiler::profile("example", Duration::from_millis(1), || {
        let (send, receive) = mpsc::sync_channel::<(Flow, Vec<f32>)>(4);
        let trainer = std::thread::spawn(move || receive.into_iter().map(train).sum::<f32>());
        for batch in 0..20 {
            let _scope = scope!("render");
            lob_scope::scope_field("batch", f64::from(batch));
            let image = (0..100_000).map(|i| (i as f32 * 0.1).sin()).collect();
            let _ = send.send((Flow::start("batch"), image));
        }
        drop(send);
        trainer.join()
    });
    for m in &profile.measurements {
        let value = m.value().map(|value| m.unit.format(value));
        println!(
            "{:<20} {}",
            m.metric,
            value.or_else(|| m.reason().map(str::to_owned)).unwrap_or_default()
        );
    }
    let trace = lob_scope::take_trace();
    std::fs::write(dir.join("trace.json"), trace.to_chrome_json())?;
    std::fs::write(dir.join("spans.json"), lob_profiler::otlp_json(&trace, "example"))?;
    let flame = lob_profiler::flame_graph_svg(&profile.scopes, "example");
    std::fs::write(dir.join("flame.svg"), flame)?;
    std::fs::write(dir.join("profile.folded"), lob_profiler::folded_stacks(&profile.scopes))?;
    Ok(())
}

fn train((flow, image): (Flow, Vec<f32>)) -> f32 {
    let _scope = scope!("train");
    flow.end();
    let _forward = scope!("forward");
    image.iter().map(|x| x * x).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_a_trace_spans_and_a_flame_graph() -> Result<(), Box<dyn Error>> {
        let dir = std::env::temp_dir().join(format!("lob-profile-me-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        run(&dir)?;
        let read = |name: &str| std::fs::read_to_string(dir.join(name));
        let trace: serde_json::Value = serde_json::from_str(&read("trace.json")?)?;
        let events = trace["traceEvents"].as_array().ok_or("no events")?;
        let calls = |name: &str| events.iter().filter(|event| event["name"] == name).count();
        assert_eq!((calls("render"), calls("forward")), (20, 20));
        let spans: serde_json::Value = serde_json::from_str(&read("spans.json")?)?;
        let spans = &spans["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans.as_array().map(Vec::len), Some(61), "20 of each, and the whole");
        let svg = read("flame.svg")?;
        assert!(
            svg.starts_with("<svg") && svg.contains("example/render") && svg.ends_with("</svg>\n")
        );
        assert!(read("profile.folded")?.lines().any(|line| line.starts_with("example;render ")));
        std::fs::remove_dir_all(&dir)?;
        Ok(())
    }
}
