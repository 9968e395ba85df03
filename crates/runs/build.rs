//! Records the compiler and its settings, for the fingerprint in the Run document.

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = std::process::Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let known = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Figures of two builds compare only if these agree too.
    let mut facts = vec![version.trim().to_owned()];
    facts.extend(known("OPT_LEVEL").map(|level| format!("opt-level {level}")));
    facts.extend(known("TARGET"));
    facts.extend(known("CARGO_ENCODED_RUSTFLAGS").map(|flags| flags.replace('\u{1f}', " ")));
    facts.retain(|fact| !fact.is_empty());
    println!("cargo::rustc-env=LOB_RUSTC={}", facts.join(", "));
    println!("cargo::rerun-if-changed=build.rs");
}
