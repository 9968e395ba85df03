//! Programs whose CPU time is known by construction, and what profiling says of them:
//! `cargo run --example hotspots -- split`, `... -- profile python3 train.py`.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "printing is a program's right")]

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, ExitCode};
use std::time::Duration;

fn main() -> std::io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scale = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    match arguments.first().map(String::as_str) {
        Some("split") => (0..10 * scale).for_each(|_| {
            heavy(7);
            light(3);
        }),
        Some("closure") => closure(scale),
        Some("recursion") => (0..scale).for_each(|_| {
            recursion(40);
            light(30);
        }),
        Some("macros") => (0..10 * scale).for_each(|_| made()),
        Some("read") => read(scale)?,
        Some("cache") => cache(scale)?,
        Some("children") => children(scale)?,
        Some("leaf") => work(1),
        Some("mangled") => (0..10 * scale).for_each(|_| mangled(10)),
        Some("jit") => jit::run(scale)?,
        Some("deleted") => deleted(scale)?,
        Some("touch") => touch(scale),
        Some("library") => copies(scale),
        Some("threads") => threads(scale)?,
        Some("profile") => return profile(&arguments[1..]),
        _ => {
            eprintln!("say a program, or `profile` and a command; see the source");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The unit of work: always the same, about half a millisecond of an optimised build.
#[inline(never)]
fn work(units: u32) {
    for _ in 0..units {
        black_box((0..200_000u64).fold(1, |sum: u64, n| sum.rotate_left(5) ^ black_box(n)));
    }
}

#[inline(never)]
fn heavy(units: u32) {
    work(units);
    black_box(());
}

#[inline(never)]
fn light(units: u32) {
    work(units);
    black_box(());
}

/// 60 % in a closure, the rest beside it.
#[inline(never)]
fn closure(scale: u32) {
    let inlined = |units: u32| {
        for _ in 0..units {
            black_box((0..200_000u64).fold(1, |sum: u64, n| sum.rotate_left(5) ^ black_box(n)));
        }
    };
    for _ in 0..10 * scale {
        inlined(6);
        light(4);
    }
}

/// Three units of work at every level: all of it is inside the outermost call.
#[inline(never)]
fn recursion(depth: u32) {
    work(1);
    if depth > 1 {
        recursion(depth - 1);
    }
    black_box(());
}

macro_rules! functions {
    ($($name:ident: $units:literal),*) => {
        $(#[inline(never)] fn $name() { work($units); black_box(()); })*
        fn made() { $($name();)* }
    };
}
functions!(macro_half: 10, macro_quarter: 5, macro_fifth: 4, macro_rest: 1);

/// Bytes from the kernel, over and over: nearly all of the time is its.
fn read(scale: u32) -> std::io::Result<()> {
    let mut zeros = File::open("/dev/zero")?;
    let mut bytes = vec![0; 64 << 10];
    (0..20_000 * scale).try_for_each(|_| zeros.read_exact(&mut bytes))
}

/// A file out of the kernel's cache.
fn cache(scale: u32) -> std::io::Result<()> {
    let path = std::env::temp_dir().join(format!("lob-hotspots-{}", std::process::id()));
    let mut file =
        File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(&vec![7; 4 << 20])?;
    let mut bytes = vec![0; 256 << 10];
    for _ in 0..200 * scale {
        file.seek(SeekFrom::Start(0))?;
        (0..16).try_for_each(|_| file.read_exact(&mut bytes))?;
    }
    Ok(())
}

/// Many programs, each shorter than the time between two samples.
fn children(scale: u32) -> std::io::Result<()> {
    let own = std::env::current_exe()?;
    (0..100 * scale).try_for_each(|_| Command::new(&own).arg("leaf").status().map(drop))
}

// The name a C++ compiler would give to `lab::Walker<double>::step(double, long)`.
#[inline(never)]
#[unsafe(export_name = "_ZN3lab6WalkerIdE4stepEdl")]
extern "C" fn mangled(units: u32) {
    work(units);
    black_box(());
}

/// Runs a copy of itself and deletes it meanwhile.
fn deleted(scale: u32) -> std::io::Result<()> {
    let path = std::env::temp_dir().join(format!("lob-hotspots-copy-{}", std::process::id()));
    std::fs::copy(std::env::current_exe()?, &path)?;
    let mut child = Command::new(&path).args(["split", &scale.to_string()]).spawn()?;
    std::thread::sleep(Duration::from_millis(5));
    std::fs::remove_file(&path)?;
    child.wait().map(drop)
}

/// Memory copied by the C library.
#[inline(never)]
fn copies(scale: u32) {
    let from = vec![3u8; 1 << 20];
    let mut to = vec![0u8; 1 << 20];
    for _ in 0..4000 * scale {
        black_box(&mut to).copy_from_slice(black_box(&from));
    }
}

/// Two threads with names, 70 and 30 % of the work.
fn threads(scale: u32) -> std::io::Result<()> {
    let start = |name: &str, work: fn(u32), units: u32| {
        let body = move || (0..10 * scale).for_each(|_| work(units));
        std::thread::Builder::new().name(name.to_owned()).spawn(body)
    };
    let both = [start("hot-heavy", heavy, 7)?, start("hot-light", light, 3)?];
    for thread in both {
        thread.join().map_err(|_| std::io::Error::other("a thread panicked"))?;
    }
    Ok(())
}

/// New memory, page by page.
fn touch(scale: u32) {
    for _ in 0..10 * scale {
        let bytes = vec![1u8; 64 << 20];
        black_box(bytes.iter().step_by(4096).map(|b| u64::from(*b)).sum::<u64>());
    }
}

/// Code written to memory at run time, named in a file as compilers do.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod jit {
    use std::io::Write;

    /// Counts down its first argument: `mov rax, rdi; dec rax; jnz -5; ret`.
    const LOOP: [u8; 9] = [0x48, 0x89, 0xf8, 0x48, 0xff, 0xc8, 0x75, 0xfb, 0xc3];

    pub(crate) fn run(scale: u32) -> std::io::Result<()> {
        let path = format!("/tmp/perf-{}.map", std::process::id());
        // SAFETY: a fresh mapping of memory at an address the kernel picks.
        let page = unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), 4096, rights, kind, -1, 0)
        };
        if page == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let mut names = std::fs::File::create(&path)?;
        let functions: Vec<(usize, u64)> = vec![(0, 7), (1024, 3)];
        for (offset, share) in &functions {
            // SAFETY: the piece lies inside the page, which is writable.
            unsafe {
                let to = page.cast::<u8>().add(*offset);
                std::ptr::copy_nonoverlapping(LOOP.as_ptr(), to, LOOP.len());
            }
            // An older name of the same place comes first.
            let address = page as usize + offset;
            writeln!(names, "{address:x} 20 stale")?;
            writeln!(names, "{address:x} {:x} compiled_{share}", LOOP.len())?;
        }
        writeln!(names, "this is no name")?;
        drop(names);
        for _ in 0..20 * scale {
            for (offset, share) in &functions {
                // SAFETY: the page holds a function of this type there, which touches no memory.
                unsafe {
                    let code = page.cast::<u8>().add(*offset);
                    let function: extern "C" fn(u64) = std::mem::transmute(code);
                    function(share * 4_000_000);
                }
            }
        }
        Ok(())
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod jit {
    pub(crate) fn run(_scale: u32) -> std::io::Result<()> {
        Err(std::io::Error::other("no code of this processor is at hand"))
    }
}

/// Profiles a command and prints what was found.
fn profile(command: &[String]) -> std::io::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else { return Ok(ExitCode::from(2)) };
    let mut command = Command::new(program);
    command.args(arguments);
    let found = lob_profiler::profile_command(command, Duration::from_millis(20))
        .map_err(std::io::Error::other)?;
    for finding in &found.scenario.findings {
        println!("{}", finding.text);
    }
    let Ok(lines) = &found.lines else { return Ok(ExitCode::SUCCESS) };
    println!("{} samples, {:?} of the CPU time", lines.samples, lines.coverage());
    println!("charged %  self %  total %  kernel %  function");
    for f in lines.functions.iter().take(25) {
        let share = |samples: u64| samples as f64 / lines.samples.max(1) as f64 * 100.0;
        println!(
            "{:9.1} {:7.1} {:8.1} {:9.1}  {:?} {}",
            share(f.charged_samples),
            share(f.self_samples),
            share(f.total_samples),
            share(f.kernel_samples),
            f.kind,
            f.place()
        );
    }
    println!("{:?}", lines.python);
    if let Ok(folder) = std::env::var("HOTSPOTS_OUT") {
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join("flame.svg"), lines.flame_graph_svg(program))?;
        std::fs::write(folder.join("profile.folded"), lines.folded_stacks())?;
        std::fs::write(folder.join("trace.json"), found.to_chrome_json())?;
    }
    Ok(ExitCode::SUCCESS)
}
