//! NVTX ranges of a program and of its scopes, for whatever profiler of NVIDIA's is attached:
//! `nsys profile cargo run -p lob-scope --features nvtx --example ranges`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

fn main() {
    if let Err(missing) = lob_scope::nvtx_scopes(true) {
        println!("{missing}");
    }
    lob_scope::enable(true);
    let _pipeline = lob_scope::NvtxRange::enter("trading_pipeline");
    for name in ["features", "model", "signals"] {
        let _scope = lob_scope::scope(name);
    }
    // Longer than a range's name may be: it is cut.
    let long = "\u{e9}".repeat(100);
    let _long = lob_scope::NvtxRange::enter(&long);
}
