use super::*;

fn frame(function: &str, file: Option<&str>, line: u32) -> Frame {
    Frame {
        function: function.to_owned(),
        module: "app".to_owned(),
        file: file.map(str::to_owned),
        line: file.map(|_| line),
        kind: kind_of(if file.is_some() { "/p/app" } else { "/lib/libc.so.6" }, file, function),
        script: false,
    }
}

fn kernel(function: &str) -> Frame {
    Frame { kind: FrameKind::Kernel, module: "kernel".to_owned(), ..Frame::mark(function) }
}

fn profile() -> LineProfile {
    let std = || frame("core::iter::sum", Some("/rustc/abc/library/core/src/iter.rs"), 9);
    let own = |line| frame("app::work", Some("/home/a/src/work.rs"), line);
    let closure = |line| frame("app::work::{closure#0}", Some("/home/a/src/work.rs"), line);
    let main = || frame("app::main", Some("/home/a/src/main.rs"), 3);
    let stacks = [
        (vec![std(), own(10), main()], false, 60),
        (vec![closure(10), main()], false, 10),
        (vec![own(20), main()], false, 25),
        (vec![frame("memcpy", None, 0), Frame::mark("app")], true, 5),
    ];
    let mut profile = LineProfile::new(stacks.into_iter());
    profile.interval_s = 0.002;
    profile
}

fn texts(profile: &LineProfile) -> Vec<String> {
    profile.findings().into_iter().map(|f| f.text).collect()
}

#[test]
fn time_in_libraries_counts_for_the_line_that_called_them() {
    let profile = profile();
    assert_eq!(profile.samples, 100);
    let lines: Vec<(Option<u32>, u64)> =
        profile.lines.iter().map(|l| (l.line, l.samples)).collect();
    assert_eq!(lines, [(Some(10), 70), (Some(20), 25), (None, 5)]);
    assert!((profile.lines.iter().map(|l| l.share).sum::<f64>() - 1.0).abs() < 1e-12);
    assert_eq!(profile.hot_lines().count(), 2);
    let said = texts(&profile);
    let line = "hot line: 70 % of 100 CPU samples: /home/a/src/work.rs:10 (app::work)";
    assert!(said.iter().any(|text| text == line), "{said:?}");
    assert_eq!(profile.lines[2].place(), "memcpy in app");
}

#[test]
fn functions_on_one_line_stay_apart() {
    let made = |name: &str| frame(name, Some("/home/a/src/macros.rs"), 4);
    let counts = [("one", 53), ("two", 27), ("three", 13), ("four", 7)];
    let stacks = counts.map(|(name, count)| (vec![made(name)], false, count));
    let profile = LineProfile::new(stacks.into_iter());
    let found: Vec<(&str, u64)> =
        profile.lines.iter().map(|l| (l.function.as_str(), l.samples)).collect();
    assert_eq!(found, counts);
}

#[test]
fn few_samples_accuse_nobody() {
    let one = [(vec![frame("f", Some("f.rs"), 1)], false, 19)];
    let profile = LineProfile::new(one.into_iter());
    assert_eq!((profile.hot_lines().count(), profile.hot_functions().count()), (0, 0));
    assert_eq!(LineProfile::default().hot_lines().count(), 0);
}

#[test]
fn shares_are_of_the_cpu_time_and_what_was_not_sampled_is_said() {
    let mut profile = profile();
    // 100 samples are 0.2 s: all of it.
    profile.cpu_time_s = Some(0.21);
    assert!(texts(&profile).iter().any(|t| t.starts_with("hot line: 70 % of 210 ms of CPU time")));
    assert!(!texts(&profile).iter().any(|t| t.starts_with("the stack samples")));
    // A tenth of it, in user mode.
    (profile.cpu_time_s, profile.user_mode_only) = (Some(2.0), Some("not permitted".to_owned()));
    let said = texts(&profile);
    let user = "the stack samples show 200 ms of 2.00 s of CPU time, 10 % (100 samples) in user mode; \
                the kernel's time is not sampled: not permitted";
    assert_eq!(said[0], user);
    assert!(!said.iter().any(|text| text.starts_with("hot line")), "7 % are not hot: {said:?}");
    // Or in processes too short for samples.
    (profile.user_mode_only, profile.processes) = (None, 1500);
    assert!(texts(&profile)[0].contains("1500 processes were seen, and those that end between"));
}

#[test]
fn the_kernels_time_is_that_of_whoever_called_it() {
    let read = || kernel("[kernel] ksys_read");
    let own = || frame("app::copy", Some("/home/a/src/copy.rs"), 7);
    let libc = || frame("read", None, 0);
    let stacks = [
        (vec![kernel("[kernel] copy_to_user"), read(), libc(), own()], false, 80),
        (vec![own()], false, 20),
    ];
    let profile = LineProfile::new(stacks.into_iter());
    assert_eq!(profile.lines.len(), 1, "{:?}", profile.lines);
    assert_eq!((profile.lines[0].line, profile.lines[0].samples), (Some(7), 100));
    let said = texts(&profile);
    let kernel = "kernel: 80 % of 100 CPU samples, 100 % of that for read in app, most in [kernel] \
                  copy_to_user";
    assert!(said.iter().any(|text| text == kernel), "{said:?}");
    let of = |name: &str| profile.functions.iter().find(|f| f.function == name).unwrap();
    assert_eq!((of("app::copy").total_samples, of("app::copy").self_samples), (100, 20));
    assert_eq!((of("read").self_samples, of("read").kernel_samples), (80, 80));
}

#[test]
fn stacks_become_folded_lines_and_a_flame_graph() {
    let profile = profile();
    let folded = profile.folded_stacks();
    assert!(folded.contains("app::main;app::work;core::iter::sum 60\n"), "{folded}");
    assert!(folded.contains("app;[cut off];memcpy 5\n"), "{folded}");
    let svg = profile.flame_graph_svg("cpu");
    assert!(svg.contains("app::work: 85.0 %, 170 ms in 85 samples"), "{svg}");
    assert!(LineProfile::default().flame_graph_svg("x").contains("no sample was taken"));
}
