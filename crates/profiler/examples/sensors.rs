//! Prints what every sensor says, or why it says nothing: `cargo run --example sensors`.

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::fmt::Debug;

use lob_profiler::Resource;
use lob_scope::Unavailable;

fn show(name: &str, value: Result<impl Debug, Unavailable>) {
    match value {
        Ok(value) => println!("{name:<20} {value:?}"),
        Err(unavailable) => println!("{name:<20} {unavailable}"),
    }
}

fn main() {
    show("load", lob_profiler::load_average());
    show("CPU pressure", lob_profiler::pressure(Resource::Cpu));
    show("memory pressure", lob_profiler::pressure(Resource::Memory));
    show("I/O pressure", lob_profiler::pressure(Resource::Io));
    show("CPU times", lob_profiler::cpu_times());
    show("disks", lob_profiler::disk_traffic());
    show("network", lob_profiler::network_traffic());
    show("page faults", lob_profiler::page_faults());
    show("context switches", lob_profiler::context_switches());
    show("own I/O", lob_profiler::process_io());
    show("temperature", lob_profiler::temperature_celsius());
    show("frequency", lob_profiler::cpu_frequency_hz());
    show("energy", lob_profiler::energy());
    let gpus = lob_profiler::gpus();
    show("GPUs", gpus.clone());
    for gpu in gpus.into_iter().flatten() {
        println!("{gpu:?} {:#?}", gpu.read());
    }
}
