//! Help, schema, synth and the fixtures.

use std::path::Path;

use super::{fixture, json, lob, lob_fails, lob_ok, shown};

#[test]
fn every_command_has_help_with_an_example() {
    let help = lob_ok(&["--help"]);
    for command in [
        "ab", "profile", "signals", "synth", "verify", "convert", "inspect", "render", "load",
        "bench", "report", "compare", "machine",
    ] {
        assert!(help.contains(command), "{command} is not in the help");
        let help = lob_ok(&[command, "--help"]);
        assert!(help.contains("Example"), "`lob {command} --help` has no example");
        assert!(help.contains(&format!("lob {command}")), "`lob {command} --help` shows no call");
    }
}

#[test]
fn wrong_arguments_exit_with_2() {
    assert_eq!(lob(&["nonsense"]).status.code(), Some(2));
    assert_eq!(lob(&[]).status.code(), Some(2));
    assert_eq!(lob(&["bench", "--suite", "nonsense"]).status.code(), Some(2));
    assert!(lob_fails(&["inspect", "no-such-file.dbn"]).contains("no-such-file.dbn"));
}

#[test]
fn the_schema_is_a_json_document() {
    let schema = json(&lob_ok(&["schema"]));
    for key in ["schema_version", "host", "roof", "inputs", "scenarios", "targets"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn the_fixtures_are_what_their_generator_writes() {
    let list = std::fs::read_to_string(fixture("metadata.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let list = json(&list);
    let entries = list["fixtures"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let name = entry["file"].as_str().unwrap();
        let again = folder.path().join(name);
        let generator = entry["generator"].as_str().unwrap();
        let mut args: Vec<&str> = generator.split(' ').skip(1).collect();
        args.extend(["--out", shown(&again)]);
        lob_ok(&args);
        let committed = std::fs::read(fixture(name)).unwrap();
        assert!(committed == std::fs::read(&again).unwrap(), "{name} differs");
        assert_eq!(committed.len() as u64, entry["bytes"].as_u64().unwrap());
        let found = json(&lob_ok(&["inspect", "--json", shown(&again)]));
        assert_eq!(found["sha256"], entry["sha256"], "{name}");
        assert_eq!(found["records"], entry["records"], "{name}");
    }
}

#[test]
fn synth_fills_a_folder_with_a_file_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let out = format!("{}/", shown(folder.path()));
    lob_ok(&["synth", "--records", "2000", "--sessions", "2", "--out", &out, "--quiet"]);
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|n| Path::new(n).extension().is_some_and(|e| e == "zst")));
}

#[test]
fn signals_are_a_csv_with_nulls_while_warming_up() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("signals.csv");
    let input = fixture("small.mbo.dbn.zst");
    lob_ok(&["signals", shown(&input), "--out", shown(&out)]);
    let text = std::fs::read_to_string(&out).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(header[..5], ["ts_event", "instrument_id", "symbol", "bid_px", "ask_px"]);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    let rsi = header.iter().position(|name| *name == "rsi").unwrap();
    assert_eq!(rows[0][rsi], "", "the first update cannot have an RSI");
    let full = rows.iter().filter_map(|row| row[rsi].parse::<f64>().ok());
    let full: Vec<f64> = full.collect();
    assert!(full.len() > 100 && full.iter().all(|x| (0.0..=1.0).contains(x)), "{full:?}");
    assert!(lob_fails(&["signals", shown(&input), "--symbol", "NOPE"]).contains("NOPE"));
}

#[test]
fn every_command_has_a_page_and_every_shell_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    lob_ok(&["man", "--out", shown(&pages)]);
    for page in ["lob.1", "lob-convert.1", "lob-bench.1", "lob-completions.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    for (shell, word) in
        [("bash", "complete "), ("zsh", "#compdef lob"), ("fish", "complete -c lob")]
    {
        let script = lob_ok(&["completions", shell]);
        // fish names a long option without its dashes.
        assert!(script.contains(word) && script.contains("ticks-per-bin"), "{shell}");
    }
    assert!(lob_fails(&["completions", "nosuch"]).contains("bash"), "the shells are named");
}

#[test]
fn several_days_under_a_bare_name_are_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let days = folder.path().join("days");
    let synth = |sessions: &str, out: &Path| {
        lob_ok(&[
            "synth",
            "--records",
            "300",
            "--sessions",
            sessions,
            "--out",
            shown(out),
            "--quiet",
        ]);
    };
    for _ in 0..2 {
        synth("3", &days);
        assert_eq!(std::fs::read_dir(&days).unwrap().count(), 3, "and again the same");
    }
    let (one, named) = (folder.path().join("one"), folder.path().join("three.dbn.zst"));
    synth("1", &one);
    synth("3", &named);
    assert!(one.is_file() && named.is_file());
}
