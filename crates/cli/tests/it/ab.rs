//! `lob ab`: commands whose difference no noise can hide, and commands that do not want to be run.

use lob_metrics::{COUNTS_REPEAT, Direction, Measurement, Unit};

use super::{evidence, json, lob, lob_fails, lob_ok, shown};

#[test]
fn a_slower_candidate_is_a_regression_and_a_failing_one_an_error() {
    // Sleeping commands: their ratio is far beyond any noise of the machine.
    let (fast, slow) = ("sleep 0.01", "sleep 0.05");
    let judged = lob(&["ab", "--baseline", fast, "--candidate", slow, "--pairs", "8", "--json"]);
    assert_eq!(judged.status.code(), Some(1));
    let judged = json(&String::from_utf8(judged.stdout).unwrap());
    assert_eq!(judged["verdict"], "regression");
    assert_eq!(judged["confirmed"], true);
    let wall = judged["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "wall_time");
    let wall = wall.expect("wall time is always measured");
    assert!(wall["effect"].as_f64().unwrap() > 1.0 && wall["q_value"].as_f64().unwrap() < 0.02);
    let judged =
        json(&lob_ok(&["ab", "--baseline", slow, "--candidate", fast, "--pairs", "8", "--json"]));
    assert_eq!(judged["verdict"], "improvement");
    assert_eq!(lob(&["ab", "--baseline", "true", "--candidate", "false"]).status.code(), Some(2));
}

#[test]
fn the_metrics_of_a_run_are_judged_each_in_its_own_direction() {
    let folder = tempfile::tempdir().unwrap();
    let document = |name: &str, allocations: f64, rate: f64| {
        let mut run = lob_fixtures::sample_run();
        run.scenarios.truncate(1);
        let (lower, higher) = (Direction::LowerIsBetter, Direction::HigherIsBetter);
        run.scenarios[0].measurements = vec![
            Measurement::measured("memory.x.allocations", Unit::Count, lower, &[allocations])
                .repeating_within(COUNTS_REPEAT),
            Measurement::measured("x.samples_per_s", Unit::SamplesPerSecond, higher, &[rate]),
        ];
        if name == "elsewhere" {
            run.host.fingerprint = "another machine".to_owned();
        }
        let path = folder.path().join(name);
        std::fs::write(&path, run.to_json().unwrap()).unwrap();
        format!("cp {} \"$LOB_AB_OUT/run.json\"", shown(&path))
    };
    let base = document("base", 100.0, 50.0);
    let more = document("more", 101.0, 50.0);
    let faster = document("faster", 100.0, 60.0);
    let elsewhere = document("elsewhere", 100.0, 50.0);
    let args = |candidate: &str, metric: &str| -> Vec<String> {
        let args = ["ab", "--pairs", "8", "--json", "--quiet", "--baseline", &base, "--candidate"];
        let judged = [candidate, "--metrics", metric];
        args.iter().chain(&judged).map(|a| (*a).to_owned()).collect()
    };
    for (candidate, metric, code, verdict) in [
        (&more, "memory.x.allocations", 1, "regression"),
        (&base, "memory.x.allocations", 0, "equivalent"),
        (&faster, "x.samples_per_s", 0, "improvement"),
        (&more, "x.samples_per_s", 0, "equivalent"),
    ] {
        let args = args(candidate, metric);
        let output = lob(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(code), "{metric}");
        let found = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(found["verdict"], verdict, "{found}");
        assert_eq!(found["metrics"].as_array().unwrap().len(), 1);
    }
    let elsewhere = args(&elsewhere, "x.samples_per_s");
    let mut elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    assert!(lob_fails(&elsewhere).contains("--force"));
    elsewhere.push("--force");
    assert_eq!(json(&lob_ok(&elsewhere))["verdict"], "equivalent");
    let unknown = args(&base, "no.such.metric");
    let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
    assert!(lob_fails(&unknown).contains("memory.x.allocations"), "the known ones are named");
}

#[test]
fn instructions_are_counted_where_valgrind_is() {
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        evidence::skipped("valgrind is not installed");
        return;
    }
    let (less, more) = ("true", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done");
    let args = ["ab", "--pairs", "8", "--max-pairs", "8", "--metrics", "peak_rss", "--quiet"];
    let counted = |candidate: &str| {
        let sides = ["--baseline", less, "--candidate", candidate, "--instructions", "--json"];
        lob(&[&args[..], &sides].concat())
    };
    let found = counted(more);
    assert_eq!(found.status.code(), Some(1), "{}", String::from_utf8_lossy(&found.stderr));
    let found = json(&String::from_utf8(found.stdout).unwrap());
    let last = found["metrics"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["name"], &last["verdict"]), (&"instructions".into(), &"regression".into()));
    let same = json(&String::from_utf8(counted(less).stdout).unwrap());
    let last = same["metrics"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["verdict"], "equivalent", "{last}");
}

/// The fewest launches there can be.
const FEW: [&str; 6] = ["ab", "--pairs", "8", "--max-pairs", "8", "--quiet"];

fn ab(baseline: &str, candidate: &str, more: &[&str]) -> std::process::Output {
    lob(&[&FEW[..], &["--baseline", baseline, "--candidate", candidate], more].concat())
}

fn error_of(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_failing_command_is_quoted_and_its_empty_input_is_named() {
    let error = error_of(&ab("true", "echo boom >&2; exit 3", &[]));
    for part in ["the candidate failed", "exit status: 3", "boom", "--ignore-failure"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    // Fails only here, where nobody types: the cause is named, and the way out is one.
    let reads = "read line";
    let error = error_of(&ab(reads, "true", &[]));
    assert!(error.contains("the baseline failed") && error.contains("--input FILE"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a line.txt");
    std::fs::write(&file, "x\n").unwrap();
    let fed = ab(reads, reads, &["--input", shown(&file)]);
    assert_eq!(fed.status.code(), Some(0), "{fed:?}");
    let missing = folder.path().join("none.txt");
    let error = error_of(&ab(reads, reads, &["--input", shown(&missing)]));
    assert!(error.contains("none.txt") && error.contains("--input"), "{error}");
    let error = error_of(&ab(reads, reads, &["--input", shown(folder.path())]));
    assert!(error.contains("folder"), "{error}");
}

#[test]
fn failures_are_compared_when_asked_for_and_counted() {
    let found = ab("true", "exit 3", &["--ignore-failure"]);
    assert_ne!(found.status.code(), Some(2), "{found:?}");
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.contains("launches of the candidate failed, the last with 3"), "{text}");
    assert!(!text.contains("of the baseline failed"), "{text}");
    let found = ab("kill -9 $$", "true", &["--ignore-failure", "--json"]);
    let found = json(&String::from_utf8(found.stdout).unwrap());
    assert_eq!(
        (
            &found["failed_launches"]["candidate"],
            found["failed_launches"]["baseline"].as_u64().unwrap() >= 8
        ),
        (&0.into(), true)
    );
}

#[test]
fn launches_are_prepared_warmed_up_and_cleaned_up_after() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("lo g");
    let say = |word: &str| format!("echo {word} >> '{}'", shown(&log));
    let (prepare, cleanup, command) = (say("prepare"), say("cleanup"), say("run"));
    let args = ["--prepare", &prepare, "--cleanup", &cleanup, "--warmup", "3"];
    // A prepared launch finds its folder empty, but for what prepared it.
    let found = ab(&command, &command, &args);
    assert_ne!(found.status.code(), Some(2), "{found:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    let count = |word: &str| text.lines().filter(|line| *line == word).count();
    assert_eq!((count("prepare"), count("run")), (2 * 3 + 16, 2 * 3 + 16), "{text}");
    assert_eq!((count("cleanup"), text.lines().last()), (1, Some("cleanup")));
    assert!(text.lines().step_by(2).take(22).all(|line| line == "prepare"), "{text}");
    // One of each, and one that fails.
    let error =
        error_of(&ab("true", "true", &["--prepare", "true", "--prepare", "echo why >&2; exit 5"]));
    for part in ["--prepare", "candidate", "exit status: 5", "why"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = error_of(&ab("true", "true", &["--cleanup", "exit 6"]));
    assert!(error.contains("--cleanup") && error.contains("exit status: 6"), "{error}");
    // What failed is cleaned up after, too.
    std::fs::write(&log, "").unwrap();
    error_of(&ab("true", "false", &["--cleanup", &cleanup]));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "cleanup\n");
    let three = ["--prepare", "true", "--prepare", "true", "--prepare", "true"];
    assert!(error_of(&ab("true", "true", &three)).contains("3 times"));
}

#[test]
fn what_the_commands_print_is_kept_apart_from_the_verdict() {
    let speaks = "echo out loud; echo err loud >&2";
    let silent = ab(speaks, speaks, &["--json"]);
    assert!(!String::from_utf8_lossy(&silent.stderr).contains("loud"));
    let shown_all = ab(speaks, speaks, &["--json", "--show-output"]);
    let said = String::from_utf8_lossy(&shown_all.stderr).into_owned();
    assert!(said.contains("out loud") && said.contains("err loud"), "{said}");
    let found = json(&String::from_utf8(shown_all.stdout).unwrap());
    assert!(found["headline"].as_str().unwrap().contains("peak memory"), "{found}");
    // Megabytes on both, and quotes in the line.
    let floods = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; test 'a b' = \"a b\"";
    assert_ne!(ab(floods, floods, &[]).status.code(), Some(2));
}

#[test]
fn commands_that_are_nothing_and_files_of_no_format_are_refused() {
    for (baseline, candidate) in [("", "true"), ("true", " \n ")] {
        assert!(error_of(&ab(baseline, candidate, &[])).contains("empty"));
    }
    let error = error_of(&ab("true", "true", &["--export", "times.txt"]));
    assert!(error.contains(".json, .md or .csv"), "{error}");
    for (flag, value) in
        [("--warmup", "0"), ("--pairs", "7"), ("--budget-s", "0"), ("--prepare", "")]
    {
        let error = error_of(&ab("true", "true", &[flag, value]));
        assert!(error.contains(flag), "{error}");
    }
}

#[test]
fn the_times_are_exported_with_hyperfines_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (first, second) = ("sleep 0.01 # a, \"b\" | c", "exit 3");
    let files = [path("t.json"), path("t.md"), path("t.csv")];
    let exports: Vec<&str> = files.iter().flat_map(|f| ["--export", shown(f)]).collect();
    let found = ab(first, second, &[&exports[..], &["--ignore-failure"]].concat());
    assert_ne!(found.status.code(), Some(2), "{found:?}");
    let read = |nth: usize| std::fs::read_to_string(&files[nth]).unwrap();
    let document = json(&read(0));
    let results = document["results"].as_array().unwrap();
    assert_eq!((results.len(), &results[0]["command"]), (2, &first.into()));
    for result in results {
        let number = |key: &str| result[key].as_f64().unwrap_or_else(|| panic!("{key}: {result}"));
        let (min, median, max) = (number("min"), number("median"), number("max"));
        assert!(min <= median && median <= max && (min..=max).contains(&number("mean")));
        assert!(number("stddev") >= 0.0 && number("user") >= 0.0 && number("system") >= 0.0);
        let n = result["times"].as_array().unwrap().len();
        assert!(n >= 8 && n == result["exit_codes"].as_array().unwrap().len());
    }
    assert!(results[0]["min"].as_f64().unwrap() >= 0.01);
    assert_eq!(results[1]["exit_codes"][0], 3);
    assert!(document["comparison"]["verdict"].is_string());
    let table = read(1);
    assert!(table.starts_with("| Command | Mean [ms] |") && table.contains("\\| c` |"), "{table}");
    assert!(table.contains("| cpu_time |"), "{table}");
    let rows = read(2);
    let mut rows = rows.lines();
    assert_eq!(rows.next(), Some("command,mean,stddev,median,user,system,min,max"));
    assert!(rows.next().unwrap().starts_with("\"sleep 0.01 # a, \"\"b\"\" | c\","));
    assert_eq!(rows.count(), 1);
}

/// Ended at every stage, by its own budget or by a signal, it leaves no child and no folder.
#[cfg(target_os = "linux")]
mod ended {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// How many processes have this word in their command line.
    fn running(word: &str) -> usize {
        let folders = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = folders.filter_map(|f| std::fs::read(f.path().join("cmdline")).ok());
        lines.filter(|line| line.windows(word.len()).any(|w| w == word.as_bytes())).count()
    }

    /// Waits until nobody runs: who was killed may be on its way out.
    fn assert_none_running(word: &str, when: &str) {
        for _ in 0..500 {
            if running(word) == 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{when}: {} still run", running(word));
    }

    /// A sleep of its own length, so that it is found by it.
    fn sleep(nth: u32) -> String {
        format!("60{nth}.{}", std::process::id())
    }

    fn start(folder: &std::path::Path, args: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(args)
            .env("TMPDIR", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_launch_beyond_twice_the_budget_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let time = sleep(0);
        let line = format!("sleep {time} & sleep {time}");
        let args = ["ab", "--baseline", "true", "--candidate", &line, "--budget-s", "1"];
        let output = start(folder.path(), &args).wait_with_output().unwrap();
        let error = error_of(&output);
        assert!(error.contains("--budget-s 1") && error.contains("candidate"), "{error}");
        assert_none_running(&time, "the budget");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_signal_at_any_stage_leaves_no_child() {
        let quick = "true";
        let slow = |nth| format!("trap '' INT TERM; sleep {} & sleep {}", sleep(nth), sleep(nth));
        let stages = [slow(1), slow(2), slow(3), slow(4)];
        // Only the second launch of the candidate is slow: the first warms it up.
        let measured = "[ -e \"$TMPDIR/again\" ] || { touch \"$TMPDIR/again\"; exit 0; }; "
            .to_owned()
            + &stages[3];
        let few = ["--pairs", "8", "--max-pairs", "8"];
        let cases: [(u32, Vec<&str>); 4] = [
            (1, vec!["--baseline", &stages[0], "--candidate", quick]),
            (2, vec!["--baseline", quick, "--candidate", quick, "--prepare", &stages[1]]),
            (3, vec!["--baseline", quick, "--candidate", quick, "--cleanup", &stages[2]]),
            (4, vec!["--baseline", quick, "--candidate", &measured]),
        ];
        for (nth, case) in cases {
            let folder = tempfile::tempdir().unwrap();
            let args = [&["ab"][..], &few, &case].concat();
            let child = start(folder.path(), &args);
            let time = sleep(nth);
            // `lob` has it in its command line, and so have the shell, if it is still one, and the sleeps.
            while running(&time) < 3 {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            let error = error_of(&child.wait_with_output().unwrap());
            assert!(error.contains("interrupted"), "stage {nth}: {error}");
            assert_none_running(&time, &format!("stage {nth}"));
            let left = std::fs::read_dir(folder.path()).unwrap().flatten();
            let left: Vec<_> = left.map(|f| f.file_name()).filter(|n| n != "again").collect();
            assert!(left.is_empty(), "stage {nth}: {left:?}");
        }
    }
}
