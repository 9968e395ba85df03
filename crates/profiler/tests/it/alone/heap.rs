//! Allocations of programs that say themselves what they hold.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

use lob_metrics::Severity;
use lob_profiler::stacks::HeapProfile;
use lob_profiler::{CommandOptions, CommandProfile, profile_command_with};

/// Bytes the start-up and the standard library hold besides, such as buffers of streams.
const STRAY: f64 = 4096.0;

/// The profile, and bytes and blocks as the program has them.
fn tracked(kind: &str, ms: &str) -> (CommandProfile, [f64; 2]) {
    let mut command = Command::new(crate::example("heap"));
    command.args([kind, ms]);
    tracked_as(command)
}

fn tracked_as(mut command: Command) -> (CommandProfile, [f64; 2]) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = path.join(format!("heap-{:?}", std::thread::current().id()));
    let mut out = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    std::fs::remove_file(&path).unwrap();
    let out = out.as_mut().unwrap();
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap());
    let mut options = CommandOptions::every(Duration::from_millis(20));
    options.allocs = true;
    let profile = profile_command_with(command, &options).unwrap();
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    let mut next = || numbers.next().unwrap_or(f64::NAN);
    (profile, [next(), next()])
}

fn heap(profile: &CommandProfile) -> &HeapProfile {
    profile.heap.as_ref().unwrap().as_ref().unwrap_or_else(|missing| panic!("{missing}"))
}

/// The first of a few runs that accuses somebody, or the last: while other work stops a program for
/// a tenth of a second, its memory does not grow, and nobody is accused for less.
fn accusing(kind: &str, ms: &str) -> (CommandProfile, [f64; 2]) {
    let mut runs = (0..4).map(|_| tracked(kind, ms));
    let first = runs.next().unwrap();
    if accused(&first.0).is_empty() {
        return runs.by_ref().find(|run| !accused(&run.0).is_empty()).unwrap_or(first);
    }
    first
}

/// Functions accused.
fn accused(profile: &CommandProfile) -> Vec<&str> {
    heap(profile).sites.iter().filter(|s| s.leaks()).map(|s| s.function.as_str()).collect()
}

#[test]
fn a_leak_of_a_hundred_kilobytes_a_second_is_found_with_its_line() {
    for kind in ["slow", "killed", "exec"] {
        let (profile, [bytes, blocks]) = accusing(kind, "1500");
        let heap = heap(&profile);
        let sites: Vec<_> = heap.sites.iter().filter(|site| site.leaks()).collect();
        assert_eq!(sites.len(), 1, "{kind}: {:?}", profile.scenario.findings);
        assert_eq!(sites[0].function, "heap::kept", "{kind}");
        assert!(sites[0].file.as_ref().unwrap().ends_with("examples/heap.rs"), "{kind}");
        assert_eq!([sites[0].held_bytes as f64, sites[0].held_blocks as f64], [bytes, blocks]);
        // What is freed at once is seen, and accuses nobody.
        assert!(heap.allocated_blocks as f64 > 50.0 * blocks);
        let text = &sites[0].place();
        let found = profile.scenario.findings.iter().find(|f| f.severity == Severity::Warning);
        assert!(found.is_some_and(|f| f.text.contains(text)), "{:?}", profile.scenario.findings);
        let lines = heap.csv();
        assert!(
            lines.lines().any(|line| line.contains("heap::kept") && line.contains("to_the_end"))
        );
    }
}

#[test]
fn two_lines_of_one_function_that_allocate_alike_stay_apart() {
    let (profile, [bytes, blocks]) = accusing("two-sites", "1500");
    let sites: Vec<_> = heap(&profile)
        .sites
        .iter()
        .filter(|s| s.function == "heap::two_sites::{{closure}}")
        .collect();
    assert_eq!(sites.len(), 2, "{:?}", heap(&profile).sites);
    let held = |n: usize| [sites[n].held_bytes as f64, sites[n].held_blocks as f64];
    assert_eq!((held(0), held(1)), ([bytes, blocks], [0.0, 0.0]));
    assert_eq!(sites[0].line, sites[1].line.map(|line| line + 1), "the second keeps");
    assert_eq!(accused(&profile).len(), 1);
}

#[test]
fn what_is_kept_or_given_back_in_good_order_accuses_nobody() {
    for kind in ["cache", "given-back", "realloc", "signal", "threads"] {
        let (profile, [bytes, blocks]) = tracked(kind, "800");
        let heap = heap(&profile);
        assert_eq!(accused(&profile), [""; 0], "{kind}");
        let held = heap.held_bytes as f64;
        assert!((held - bytes).abs() < STRAY, "{kind}: {held} for {bytes}");
        let held = heap.held_blocks as f64;
        assert!((held - blocks).abs() < 20.0, "{kind}: {held} for {blocks}");
        let freed = profile.scenario.findings.iter().any(|f| f.text.contains("were freed there"));
        assert!(!freed || kind == "given-back", "{kind}: {:?}", profile.scenario.findings);
    }
}

#[test]
fn a_child_made_by_fork_answers_for_itself() {
    let (profile, [bytes, _]) = accusing("fork", "1500");
    let heap = heap(&profile);
    assert_eq!(heap.processes, 2);
    assert_eq!(accused(&profile), ["heap::kept"]);
    let parent = heap.sites.iter().find(|site| site.function == "heap::block").unwrap();
    // The child frees the parent's block, which the parent still has.
    assert_eq!(parent.held_bytes as f64, bytes);
}

/// An ELF file without a loader: too short for one.
fn launcher() -> Command {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    // Header, one part that is loaded and executed, and code that ends the process with 7.
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    let machine = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    [2, machine].into_iter().for_each(|value| half(&mut file, value));
    word(&mut file, 1);
    [0x40_0078, 64, 0].into_iter().for_each(|value| long(&mut file, value));
    word(&mut file, 0);
    [64, 56, 1, 0, 0, 0].into_iter().for_each(|value| half(&mut file, value));
    [1, 5].into_iter().for_each(|value| word(&mut file, value));
    [0, 0x40_0000, 0x40_0000, 0x100, 0x100, 0x1000]
        .into_iter()
        .for_each(|value| long(&mut file, value));
    file.extend(if cfg!(target_arch = "x86_64") {
        // mov edi, 7; mov eax, 60; syscall
        b"\xbf\x07\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05".as_slice()
    } else {
        // mov x0, 7; mov x8, 93; svc 0
        b"\xe0\x00\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4".as_slice()
    });
    file.resize(0x100, 0);
    std::fs::write(&path, file).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Command::new(path)
}

#[test]
fn many_short_processes_are_counted() {
    let mut command = Command::new("sh");
    command.args(["-c", "n=0; while [ $n -lt 300 ]; do /bin/ls / > /dev/null; n=$((n + 1)); done"]);
    let (profile, _) = tracked_as(command);
    let heap = heap(&profile);
    assert!(heap.processes > 300, "{}", heap.processes);
    assert!(heap.allocated_blocks > 300 * 10, "{}", heap.allocated_blocks);
    assert!(heap.notes.iter().any(|note| note.contains("were not looked up")), "{:?}", heap.notes);
    assert_eq!(accused(&profile), [""; 0]);
}

#[test]
fn a_program_that_is_not_tracked_says_why() {
    let mut command = Command::new("sh");
    command.args(["-c", "exit 0"]).env("TMPDIR", "/nonexistent");
    let (profile, _) = tracked_as(command);
    assert!(profile.heap.as_ref().unwrap().is_ok(), "its own TMPDIR is none of ours");
    // Linked statically, as the launcher is.
    let (profile, _) = tracked_as(launcher());
    let missing = profile.heap.unwrap().unwrap_err();
    assert!(missing.reason.contains("statically"), "{missing}");
    let said = profile.scenario.findings.iter().any(|f| f.text.contains(&missing.reason));
    assert!(said, "{:?}", profile.scenario.findings);
    let options = CommandOptions::every(Duration::from_millis(20));
    let profile = profile_command_with(Command::new("true"), &options).unwrap();
    assert_eq!(profile.heap, None);
}
