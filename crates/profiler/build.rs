//! Compiles the two small native programs the library carries inside it (`native/`), with the
//! compiler and the linker of this build.
//!
//! Where that fails, or for a target they are not written for, an empty file takes the place of
//! each, and what they do is reported as unavailable.

use std::env::var_os;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let out = PathBuf::from(var_os("OUT_DIR").unwrap_or_default());
    let target = |part: &str| var_os(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let is_known = target("OS") == "linux"
        && (target("ARCH") == "x86_64" || target("ARCH") == "aarch64")
        && target("POINTER_WIDTH") == "64";
    for program in PROGRAMS {
        let source = Path::new("native").join(program.source);
        println!("cargo::rerun-if-changed={}", source.display());
        let made = out.join(program.name);
        let done = if is_known { compile(&source, &made, program.flags) } else { Ok(()) };
        if let Err(why) = &done {
            println!("cargo::warning=`{}` is left out: {why}", source.display());
        }
        if !is_known || done.is_err() {
            std::fs::write(&made, []).expect("OUT_DIR can be written to");
        }
    }
}

struct Program {
    source: &'static str,
    name: &'static str,
    flags: &'static [&'static str],
}

const PROGRAMS: [Program; 1] = [Program {
    source: "launch.rs",
    name: "launch",
    flags: &[
        "--crate-type=bin",
        "-Crelocation-model=static",
        "-Ctarget-feature=+crt-static",
        "-Clink-arg=-nostartfiles",
        "-Clink-arg=-nostdlib",
        "-Clink-arg=-static",
    ],
}];

fn compile(source: &Path, made: &Path, flags: &[&str]) -> Result<(), String> {
    let mut rustc = Command::new(var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"]);
    rustc.args(flags).arg("--target").arg(var_os("TARGET").unwrap_or_default());
    if let Some(linker) = var_os("RUSTC_LINKER") {
        let mut flag = std::ffi::OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    let output = rustc.arg("-o").arg(made).arg(source).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " ");
    output.status.success().then_some(()).ok_or(said)
}
