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
    println!("cargo::rerun-if-changed=native");
    for program in PROGRAMS {
        let source = Path::new("native").join(program.source);
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

const PROGRAMS: [Program; 2] = [
    Program {
        source: "launch.rs",
        name: "launch",
        flags: &[
            "--crate-type=bin",
            "-Copt-level=s",
            "-Cstrip=symbols",
            "-Crelocation-model=static",
            "-Ctarget-feature=+crt-static",
            "-Clink-arg=-nostartfiles",
            "-Clink-arg=-nostdlib",
            "-Clink-arg=-static",
        ],
    },
    Program {
        source: "allocs.rs",
        name: "allocs",
        // Tables to unwind by: stacks are read from inside its functions on.
        flags: &[
            "--crate-type=cdylib",
            "-Copt-level=3",
            "-Cstrip=debuginfo",
            "-Ccodegen-units=1",
            "-Cforce-unwind-tables=yes",
            "-Ctarget-feature=-crt-static",
        ],
    },
];

fn compile(source: &Path, made: &Path, flags: &[&str]) -> Result<(), String> {
    let mut rustc = Command::new(var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "-Cpanic=abort"]);
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
