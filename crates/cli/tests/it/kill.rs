//! Conversions that are killed, stopped, or run out of room: whole files or none.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{json, lob, lob_ok, shown};

/// Kills of a plain test run; `LOBLAB_KILLS` asks for more.
const KILLS: u64 = 6;

fn markets(folder: &Path, files: u32, records: &str) -> PathBuf {
    let inputs = folder.join("inputs");
    std::fs::create_dir(&inputs).unwrap();
    for seed in 0..files {
        let out = inputs.join(format!("{seed}.mbp-10.dbn.zst"));
        let seed = seed.to_string();
        lob_ok(&["synth", "--records", records, "--seed", &seed, "--out", shown(&out)]);
    }
    inputs
}

fn settings<'a>(inputs: &'a Path, out: &'a Path, layout: &'a str) -> Vec<&'a str> {
    let mut args = vec!["convert", shown(inputs), "--out", shown(out), "--layout", layout];
    args.extend(["--lookback", "50", "--lookforward", "50", "--offset", "5", "--resume"]);
    args.extend(["--ticks-per-bin", "10", "--jobs", "2", "--json", "--keep-duplicates"]);
    args
}

/// Store files by their path below the store, and their content.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let is_hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
            if path.is_dir() && !is_hidden {
                walk(root, &path, found);
            } else if !is_hidden {
                let content = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_owned(), content);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn hidden(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.') && !name.contains("journal")).collect()
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = markets(folder.path(), 4, "15000");
    let kills = std::env::var("LOBLAB_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    for layout in ["bins", "ticks"] {
        let whole = folder.path().join(format!("whole-{layout}"));
        let start = Instant::now();
        lob_ok(&settings(&inputs, &whole, layout));
        let usual = start.elapsed();
        let expected = files(&whole);
        assert!(!expected.is_empty());
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut killed = 0;
        let out = folder.path().join(format!("killed-{layout}"));
        for n in 0..kills {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let wait = usual.mul_f64(f64::from(u16::try_from(random >> 48).unwrap()) / 65_535.0);
            let mut child = Command::new(env!("CARGO_BIN_EXE_lob"))
                .args(settings(&inputs, &out, layout))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(wait);
            child.kill().unwrap();
            killed += u64::from(!child.wait().unwrap().success());
            for (path, content) in files(&out) {
                assert!(expected.get(&path) == Some(&content), "kill {n}: {}", path.display());
            }
            // Every other time from the start again, so that kills hit early work too.
            if n % 2 == 1 {
                lob_ok(&settings(&inputs, &out, layout));
                assert!(files(&out) == expected, "after kill {n}");
                std::fs::remove_dir_all(&out).unwrap();
            }
        }
        let summary = json(&lob_ok(&settings(&inputs, &out, layout)));
        assert_eq!(summary["inputs"].as_array().unwrap().len(), 4);
        assert!(files(&out) == expected, "the same store as without kills");
        assert!(hidden(&out).is_empty(), "{:?}", hidden(&out));
        println!("{layout}: {killed} of {kills} runs were killed before their end, nothing lost");
    }
}

#[cfg(unix)]
#[test]
fn a_stopped_run_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = markets(folder.path(), 3, "60000");
    let out = folder.path().join("out");
    let child = Command::new(env!("CARGO_BIN_EXE_lob"))
        .args(settings(&inputs, &out, "bins"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once the lock is there, the handler is too.
    let deadline = Instant::now() + Duration::from_secs(60);
    while hidden(&out).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("stopped"), "{said}");
    assert!(hidden(&out).is_empty(), "{:?}", hidden(&out));
    lob_ok(&settings(&inputs, &out, "bins"));
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = markets(folder.path(), 1, "30000");
    for layout in ["bins", "ticks"] {
        let out = folder.path().join(layout);
        // A file may not grow beyond a few blocks: the write fails as on a full disk.
        let script = "ulimit -f 8; exec \"$0\" \"$@\"";
        let mut args = settings(&inputs, &out, layout);
        args.retain(|arg| *arg != "--resume");
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_lob")])
            .args(&args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{layout}: {said}");
        assert!(said.contains("error") && said.contains("large"), "{layout}: {said}");
        assert!(!out.exists(), "{layout}: {:?}", files(&out).keys());
    }
}

#[test]
fn settings_come_from_flags_then_file_then_preset() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = markets(folder.path(), 1, "3000");
    let config = folder.path().join("convert.toml");
    let text = "layout = 'bins'\npreset = 'USDJPY'\nticks-per-bin = 30\nlookback = 60\n\
                lookforward = 60\noffset = 6\nlabel-volatility = [-1.0, 1.0]\nno-gap = true\n\
                price-step = 0.000001\n";
    std::fs::write(&config, text).unwrap();
    let out = folder.path().join("out");
    let args = ["convert", shown(&inputs), "--out", shown(&out), "--config", shown(&config)];
    let summary = json(&lob_ok(&[&args[..], &["--ticks-per-bin", "10", "--json"]].concat()));
    let output = &summary["outputs"][0];
    assert_eq!(output["price_step"], 1_000, "the file wins over the preset");
    assert_eq!(output["class_counts"].as_array().unwrap().len(), 3);
    let found = json(&lob_ok(&["inspect", shown(&out), "--json"]));
    assert_eq!(found["files"][0]["bin_rule"], "updates=10", "a flag wins over the file");
    std::fs::write(&config, "ticks-per-bim = 3").unwrap();
    let refused = lob(&args);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("ticks-per-bim"), "{said}");
}
