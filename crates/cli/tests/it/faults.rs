//! What a hostile disk, a hostile file name or a kill does to a command: an error that names the
//! path, whole files, and nothing half done. docs/RELIABILITY.md lists the promises.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lob_metrics::Run;

use super::{evidence, fixture, json, lob, lob_fails, lob_ok, shown};

/// Kills of a plain test run; `LOBLAB_KILLS` asks for more.
const KILLS: u64 = 4;
/// The user that owns nothing.
const NOBODY: u32 = 65_534;
const CONVERT: [&str; 8] =
    ["--lookback", "20", "--lookforward", "20", "--offset", "5", "--ticks-per-bin", "20"];

fn convert_args<'a>(input: &'a Path, out: &'a Path) -> Vec<&'a str> {
    [&["convert", shown(input), "--out", shown(out), "--json"][..], &CONVERT].concat()
}

/// Everything below a folder, hidden files too.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(all_files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn small_book(folder: &Path) -> PathBuf {
    let to = folder.join("a.mbp-10.dbn.zst");
    fs::copy(fixture("small.mbp-10.dbn.zst"), &to).unwrap();
    to
}

#[test]
fn a_killed_bench_leaves_a_whole_run_or_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run_json = out.join("run.json");
    // Nothing has time to finish: the run is written and rewritten in quick succession.
    let args = ["bench", "--quick", "--suite", "depth", "--time-cap-s", "0", "--out", shown(&out)];
    let start = Instant::now();
    assert_eq!(lob(&args).status.code(), Some(2));
    let usual = start.elapsed();
    let id = |text: &str| Run::from_json(text).unwrap().id;
    let mut last = id(&fs::read_to_string(&run_json).unwrap());
    let kills = std::env::var("LOBLAB_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let (mut killed, mut kept) = (0, 0);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for n in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let wait = usual.mul_f64(f64::from(u16::try_from(random >> 48).unwrap()) / 65_535.0);
        let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        child.kill().unwrap();
        killed += u64::from(child.wait().unwrap().code().is_none());
        let found = id(&fs::read_to_string(&run_json).expect("an earlier run is not taken away"));
        kept += u64::from(found == last);
        assert!(!found.is_empty(), "kill {n}");
        last = found;
    }
    assert_eq!(lob(&args).status.code(), Some(2), "and it runs again");
    assert_ne!(id(&fs::read_to_string(&run_json).unwrap()), "");
    println!("{killed} of {kills} runs were killed before their end, {kept} left the run before");
}

#[test]
fn a_full_disk_fails_every_writer_and_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let book = small_book(folder.path());
    let store = folder.path().join("store");
    lob_ok(&convert_args(&book, &store));
    let out = folder.path().join("out");
    let to = |name: &str| shown(&out.join(name)).to_owned();
    let commands: [Vec<String>; 6] = [
        vec!["synth".into(), "--records".into(), "20000".into(), "--out".into(), to("m.dbn")],
        vec!["signals".into(), shown(&book).into(), "--out".into(), to("s.csv")],
        vec!["signals".into(), shown(&book).into(), "--out".into(), to("s.parquet")],
        ["render", shown(&store), "--index", "40", "--bins", "8", "--out"]
            .map(str::to_owned)
            .into_iter()
            .chain([to("i.npy")])
            .collect(),
        ["bench", "--quick", "--suite", "depth", "--time-cap-s", "0", "--out"]
            .map(str::to_owned)
            .into_iter()
            .chain([to("b")])
            .collect(),
        ["train", "generated:simple", "--steps", "2", "--window", "8", "--signals", "20"]
            .into_iter()
            .chain(["--batch-size", "4", "--checkpoint-every", "1", "--checkpoint"])
            .map(str::to_owned)
            .chain([to("t")])
            .collect(),
    ];
    for args in commands {
        fs::create_dir(&out).unwrap();
        // A file may not grow beyond one block: the write fails as on a full disk.
        let output = Command::new("sh")
            .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_lob"))
            .args(&args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("error: ") && !said.contains("panicked"), "{args:?}: {said}");
        assert!(said.contains("large"), "the reason stands there: {args:?}: {said}");
        for file in all_files(&out) {
            let bytes = fs::metadata(&file).unwrap().len();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            // Logs grow line by line; whatever has a final name is whole.
            assert!(bytes <= 1024 && !name.ends_with("tmp"), "{}: {bytes}", file.display());
            assert!(!name.ends_with(".safetensors"), "{}", file.display());
        }
        fs::remove_dir_all(&out).unwrap();
    }
}

/// With every number of handles that a conversion fails with, removing the temporary files too.
#[test]
fn a_conversion_without_enough_handles_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let book = small_book(folder.path());
    let mut n_failed = 0;
    for layout in ["bins", "ticks"] {
        for handles in 4..=14 {
            let out = folder.path().join(format!("{layout}-{handles}"));
            let script = format!("ulimit -n {handles}; exec \"$0\" \"$@\"");
            let output = Command::new("sh")
                .args(["-c", &script, env!("CARGO_BIN_EXE_lob")])
                .args(convert_args(&book, &out))
                .args(["--layout", layout])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                let hidden = |path: &PathBuf| shown(path).contains(".loblab-tmp");
                assert!(!all_files(&out).iter().any(hidden), "{layout}, {handles} handles");
                continue;
            }
            n_failed += 1;
            assert!(!said.contains("panicked"), "{layout}, {handles} handles: {said}");
            assert!(!out.exists(), "{layout}, {handles} handles: {:?} {said}", all_files(&out));
        }
    }
    assert!(n_failed > 3, "the limits are those that matter");
}

/// Runs `lob` as a user that mode bits hold for; `None` (and a line that says so) where the test's
/// user is root and cannot become another.
fn lob_as_nobody(args: &[&str]) -> Option<(i32, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lob"));
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    if user.starts_with(b"0") {
        command.uid(NOBODY).gid(NOBODY);
    }
    let Ok(output) = command.args(args).output() else {
        evidence::skipped("root cannot run the binary as another user here");
        return None;
    };
    Some((output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()))
}

#[test]
fn folders_that_may_not_be_written_or_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    let book = small_book(folder.path());
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let secret = folder.path().join("secret.mbp-10.dbn.zst");
    fs::copy(&book, &secret).unwrap();
    mode(&secret, 0o000);
    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    mode(&open, 0o777);
    mode(&locked, 0o555);
    let inside = |name: &str| shown(&locked.join(name)).to_owned();
    for (args, named) in [
        (vec!["convert", shown(&book), "--out", shown(&locked)], "locked"),
        (vec!["convert", shown(&book), "--out", &inside("store")], "locked/store"),
        (vec!["convert", shown(&secret), "--out", shown(&open.join("store"))], "secret"),
        (vec!["verify", shown(&secret)], "secret"),
        (vec!["inspect", shown(&secret)], "secret"),
        (vec!["synth", "--records", "5", "--out", &inside("m.dbn")], "locked/"),
        (vec!["signals", shown(&book), "--out", &inside("s.csv")], "locked/"),
        (
            vec!["train", "generated:simple", "--steps", "1", "--checkpoint", &inside("t")],
            "locked/",
        ),
        (vec!["bench", "--quick", "--suite", "depth", "--out", &inside("b")], "locked/"),
    ] {
        let Some((code, said)) = lob_as_nobody(&args) else { break };
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(said.contains(named) && said.contains("ermission denied"), "{args:?}: {said}");
    }
    assert!(all_files(&locked).is_empty() && all_files(&open).is_empty());
    mode(&locked, 0o755);
}

#[test]
fn no_pipe_or_device_is_replaced_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let book = small_book(folder.path());
    let pipe = |name: &str| {
        let path = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let dbn = pipe("m.dbn");
    let csv = pipe("s.csv");
    let parquet = pipe("s.parquet");
    let svg = pipe("i.npy");
    let store = folder.path().join("store");
    lob_ok(&convert_args(&book, &store));
    for (path, args) in [
        (&dbn, vec!["synth", "--records", "5", "--out"]),
        (&csv, vec!["signals", shown(&book), "--out"]),
        (&parquet, vec!["signals", shown(&book), "--out"]),
        (&svg, vec!["render", shown(&store), "--index", "40", "--bins", "8", "--out"]),
    ] {
        let said = lob_fails(&[&args[..], &[shown(path)]].concat());
        assert!(said.contains("a device or a pipe") && said.contains(shown(path)), "{said}");
        assert!(fs::metadata(path).unwrap().file_type().is_fifo(), "{}", path.display());
    }
}

/// A synthetic market begins with a snapshot, which is no event: its records become some.
fn events_of_their_own(file: &Path, (record_bytes, flags_at): (usize, usize)) {
    const LAST: u8 = 0x80;
    let mut bytes = fs::read(file).unwrap();
    let n = usize::from(file.file_name().unwrap().as_encoded_bytes()[0] - b'0');
    let header = bytes.len() - n * record_bytes;
    bytes[header..].chunks_exact_mut(record_bytes).for_each(|record| record[flags_at] = LAST);
    fs::write(file, bytes).unwrap();
}

#[test]
fn one_and_two_records_are_a_market_and_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, out) = (folder.path().join("0.dbn"), folder.path().join("0"));
    fs::write(&empty, b"").unwrap();
    let said = lob_fails(&["convert", shown(&empty), "--out", shown(&out)]);
    assert!(said.contains("0.dbn") && !out.exists(), "{said}");
    for schema in ["mbp-10", "mbo"] {
        for n in ["1", "2"] {
            let file = folder.path().join(format!("{n}.{schema}.dbn"));
            let store = folder.path().join(format!("store-{n}-{schema}"));
            let synth = ["synth", "--records", n, "--schema", schema, "--out", shown(&file)];
            lob_ok(&synth);
            events_of_their_own(&file, if schema == "mbo" { (56, 36) } else { (368, 30) });
            let health = lob_ok(&["verify", shown(&file)]);
            assert!(health.contains(n), "{health}");
            let args = ["--ticks-per-bin", "1", "--lookback", "1", "--lookforward", "1"];
            let convert = ["convert", shown(&file), "--out", shown(&store), "--offset", "0"];
            let summary = json(&lob_ok(&[&convert[..], &args, &["--json"]].concat()));
            assert_eq!(summary["records"].to_string(), n);
            lob_ok(&["inspect", shown(&store)]);
            let csv = folder.path().join("s.csv");
            lob_ok(&["signals", shown(&file), "--out", shown(&csv)]);
            // Too little for an image or a model, which they say.
            for args in [
                vec!["load", shown(&store), "--bins", "8"],
                vec!["train", shown(&store), "--steps", "1"],
            ] {
                let said = lob_fails(&args);
                assert!(said.contains("error: ") && !said.contains("panicked"), "{said}");
            }
        }
    }
}

#[test]
fn links_and_circles_of_links_count_a_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, linked) = (folder.path().join("plain"), folder.path().join("linked"));
    for made in [&plain, &linked] {
        fs::create_dir(made).unwrap();
        small_book(made);
    }
    symlink(&linked, linked.join("circle")).unwrap();
    symlink("a.mbp-10.dbn.zst", linked.join("b.mbp-10.dbn.zst")).unwrap();
    let records = |input: &Path, out: &str| {
        json(&lob_ok(&convert_args(input, &folder.path().join(out))))["records"].clone()
    };
    let expected = records(&plain, "one");
    assert_eq!(records(&linked, "two"), expected);
    // A link alone is followed; one that leads nowhere or to itself is named.
    assert_eq!(records(&linked.join("b.mbp-10.dbn.zst"), "three"), expected);
    for target in ["nowhere", "c.mbp-10.dbn.zst"] {
        let path = linked.join("c.mbp-10.dbn.zst");
        symlink(target, &path).unwrap();
        let out = folder.path().join("four");
        let said = lob_fails(&convert_args(&linked, &out));
        assert!(said.contains("c.mbp-10.dbn.zst") && !out.exists(), "{said}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn odd_names_are_names_and_too_long_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}.mbp-10.dbn.zst", "l".repeat(255 - 15));
    let names =
        ["new\nline.mbp-10.dbn.zst", "..two dots.mbp-10.dbn.zst", "📈.mbp-10.dbn.zst", &long];
    for (n, name) in names.into_iter().enumerate() {
        let batch = folder.path().join(format!("in{n}"));
        fs::create_dir(&batch).unwrap();
        let input = batch.join(name);
        fs::rename(small_book(&batch), &input).unwrap();
        let out = batch.join("store 📈\n..");
        let summary = json(&lob_ok(&convert_args(&input, &out)));
        assert_eq!(summary["inputs"][0]["path"], shown(&input));
        let resumed = lob_ok(&[&convert_args(&input, &out)[..], &["--resume"]].concat());
        assert_eq!(json(&resumed)["inputs"][0]["resumed"], true, "by its journal: {name:?}");
        lob_ok(&["verify", shown(&input)]);
        lob_ok(&["load", shown(&out), "--bins", "8", "--batches", "1"]);
    }
    let book = small_book(folder.path());
    let component = "p".repeat(250);
    let deep = (0..20).fold(folder.path().join("deep"), |path, _| path.join(&component));
    let wide = folder.path().join("w".repeat(300));
    let before = all_files(folder.path()).len();
    for path in [&deep, &wide] {
        for said in [
            lob_fails(&["convert", shown(&book), "--out", shown(path)]),
            lob_fails(&["synth", "--records", "5", "--out", shown(path)]),
            lob_fails(&["convert", shown(path), "--out", shown(&folder.path().join("x"))]),
        ] {
            assert!(said.contains("ame too long") || said.contains("no `.dbn`"), "{said}");
        }
    }
    assert_eq!(all_files(folder.path()).len(), before);
    assert!(!folder.path().join("deep").exists(), "no folder on the way stays");
}

#[test]
fn no_flag_takes_a_number_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let book = small_book(folder.path());
    let store = folder.path().join("store");
    lob_ok(&convert_args(&book, &store));
    let out = folder.path().join("out");
    let convert = ["convert", shown(&book), "--out", shown(&out)];
    let load = ["load", shown(&store), "--bins", "8"];
    let train = ["train", "generated:simple", "--steps", "1"];
    let cases: [(&[&str], &[&str]); 3] = [
        (
            &convert,
            &["--gap", "--fit-part", "--label-thresholds", "--label-volatility", "--price-step"],
        ),
        (&load, &["--sample-fraction"]),
        (
            &train,
            &[
                "--dropout",
                "--temperature",
                "--learning-rate",
                "--weight-decay",
                "--ema",
                "--jitter",
            ],
        ),
    ];
    for (command, flags) in cases {
        for flag in flags {
            for number in ["nan", "inf"] {
                let said = lob_fails(&[command, &[flag, number]].concat());
                assert!(said.contains("error: ") && !said.contains("panicked"), "{flag}: {said}");
            }
        }
    }
    assert!(!out.exists());
}

#[test]
fn a_full_standard_output_is_an_error() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        evidence::skipped("there is no /dev/full");
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_lob"))
        .args(["inspect", shown(&fixture("small.mbo.dbn.zst")), "--json"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("No space left"), "{said}");
}

#[test]
fn the_endpoint_listens_to_this_machine_alone_unless_told_otherwise() {
    let help = lob_ok(&["serve", "--help"]);
    assert!(help.contains("[default: 127.0.0.1:9187]"), "{help}");
}
