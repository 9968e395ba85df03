//! The public surface, driven as other crates drive it.

#![allow(clippy::cast_possible_truncation, reason = "test sizes are small")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(clippy::float_cmp, reason = "whole numbers are compared")]

mod alone;
mod flame;
mod sensors;

/// An example's binary, which `cargo test` has built; with a filter that leaves the examples out
/// it is built here.
fn example(name: &str) -> std::path::PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    if !path.exists() {
        let status = std::process::Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", env!("CARGO_PKG_NAME"), "--example", name])
            .status()
            .unwrap();
        assert!(status.success() && path.exists(), "cannot build {}", path.display());
    }
    path
}

#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;
