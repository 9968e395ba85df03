//! Records the compiler, for the fingerprint in the Run document.

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = std::process::Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=LOB_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
