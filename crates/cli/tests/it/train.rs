//! Training, embedding and evaluation through the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{json, lob, lob_fails, lob_ok, shown};

/// A store of a synthetic market: a few hundred bins.
fn store(folder: &Path) -> PathBuf {
    let (input, store) = (folder.join("market.mbp-10.dbn.zst"), folder.join("store"));
    lob_ok(&["synth", "--records", "12000", "--seed", "3", "--out", shown(&input), "--quiet"]);
    let mut args = vec!["convert", shown(&input), "--out", shown(&store), "--quiet"];
    args.extend(["--ticks-per-bin", "10", "--lookback", "100", "--lookforward", "100"]);
    args.extend(["--offset", "10"]);
    lob_ok(&args);
    store
}

/// A run so small that a debug build takes a step in a few milliseconds.
fn tiny<'a>(source: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["train", source, "--window", "16", "--encoder", "simple"];
    args.extend(["--embedding", "16", "--projection", "8", "--batch-size", "16"]);
    args.extend(["--device", "cpu", "--seed", "4"]);
    args.extend(more);
    args
}

#[test]
fn a_market_is_learned_embedded_and_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let run = folder.path().join("run");
    let more = ["--steps", "80", "--checkpoint", shown(&run), "--json"];
    let trained = json(&lob_ok(&tiny(shown(&store), &more)));
    let loss = |key: &str| trained[key].as_f64().unwrap();
    assert!(loss("loss_last") < 0.85 * loss("loss_first"), "{trained}");
    assert!(trained["metrics"]["collapse"].is_null(), "{trained}");
    assert_eq!((&trained["ended"], &trained["steps"]), (&"finished".into(), &80.into()));

    let model = run.join("model.safetensors");
    assert_eq!(trained["model"], shown(&model));
    let (npy, parquet) = (folder.path().join("e.npy"), folder.path().join("e.parquet"));
    for out in [&npy, &parquet] {
        let found = lob_ok(&["embed", shown(&model), shown(&store), "--out", shown(out), "--json"]);
        let found = json(&found);
        assert_eq!(found["embedding_dim"], 16);
        assert_eq!(found["windows"], trained["windows"]);
    }
    let bytes = std::fs::read(&npy).unwrap();
    let header = format!("({}, 16)", trained["windows"]);
    assert!(String::from_utf8_lossy(&bytes[..128]).contains(&header), "{header}");
    assert_eq!(&std::fs::read(&parquet).unwrap()[..4], b"PAR1");

    let sized = ["--seeds", "3", "--max-train", "200", "--max-test", "100", "--json"];
    let evaluated = [&["eval", shown(&model), shown(&store)], &sized[..]].concat();
    let evaluated = json(&lob_ok(&evaluated));
    let rows = evaluated["table"]["rows"].as_array().unwrap();
    assert_eq!(rows.len() % 10, 0, "five kinds of features, two methods");
    assert!(!rows.is_empty(), "{evaluated}");
    for row in rows {
        assert_eq!(row["ci95"].as_array().unwrap().len(), 2, "{row}");
    }
    let findings = evaluated["findings"].to_string();
    assert!(findings.contains("they lose to") && findings.contains("no forecast of prices"));
    assert!(
        lob_fails(&["eval", shown(&model), shown(&store), "--seeds", "2"]).contains("at least 3")
    );
    assert!(
        lob_fails(&["embed", shown(&model), shown(&store), "--out", "x.csv"]).contains("x.csv")
    );
    assert!(lob_fails(&["embed", shown(&npy), shown(&store), "--out", "x.npy"]).contains("e.npy"));
}

#[test]
fn white_noise_rings_the_alarm() {
    let more = ["--signals", "60", "--steps", "60", "--no-augment", "--json"];
    let trained = json(&lob_ok(&tiny("generated:simple", &more)));
    let why = trained["metrics"]["collapse"].as_str().unwrap_or_default();
    assert!(why.contains("by chance") || why.contains("point the same way"), "{trained}");
}

#[test]
fn a_missing_device_is_one_line_and_auto_says_it_fell_back() {
    let output = lob(&["train", "generated:medium", "--device", "cuda"]);
    if output.status.success() {
        return;
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: device `cuda` is not available"), "{stderr}");
    let output =
        lob(&["train", "generated:medium", "--window", "8", "--steps", "1", "--rows", "32"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("using the CPU"));
}

#[test]
fn wrong_settings_are_named() {
    for (args, expected) in [
        (["train", "generated:huge"], "`simple`, `medium`, `complex` or `mixed`"),
        (["train", "no-such-store"], "no-such-store"),
    ] {
        assert!(lob_fails(&args).contains(expected), "{args:?}");
    }
    for (more, expected) in [
        (["--loss", "hinge"], "`loss` is `hinge`"),
        (["--precision", "f8"], "`precision` is `f8`"),
        (["--encoder", "deeplob"], "--input images"),
        (["--temperature", "0"], "`temperature` is 0"),
        (["--config", "no-such.toml"], "no-such.toml"),
    ] {
        let args = [&["train", "generated:medium"][..], &more].concat();
        assert!(lob_fails(&args).contains(expected), "{args:?}");
    }
}

fn steps_on_disk(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(run) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("step-")
        })
        .collect();
    found.sort();
    found
}

fn losses(run: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    log.lines().map(|line| json(line)["loss"].as_f64().unwrap()).collect()
}

#[test]
fn killed_and_interrupted_runs_go_on_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let settings = ["--steps", "400", "--checkpoint-every", "1", "--signals", "30", "--quiet"];
    let args = |run: &Path, more: &[&str]| -> Vec<String> {
        let more = [&settings[..], &["--checkpoint", shown(run)], more].concat();
        tiny("generated:complex", &more).into_iter().map(str::to_owned).collect()
    };
    let start = |run: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lob"));
        command.args(args(run, more)).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    assert!(start(&whole, &[]).wait().unwrap().success());

    let mut killed = 0;
    for signal in ["-KILL", "-INT", "-KILL"] {
        let before = steps_on_disk(&broken);
        let more: &[&str] = if before.is_empty() { &[] } else { &["--resume"] };
        let mut child = start(&broken, more);
        // Until a few steps are on disk that were not there before, or it is done.
        while child.try_wait().unwrap().is_none() && steps_on_disk(&broken) <= before {
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().is_ok());
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            break;
        }
        killed += 1;
        if signal == "-INT" {
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains("go on with:") && stderr.contains("--resume"), "{stderr}");
        }
        // Every checkpoint under its final name is whole: a resumption reads the newest below.
        assert!(!steps_on_disk(&broken).is_empty());
    }
    assert!(killed >= 1, "no run was stopped before its end");
    let finished = start(&broken, &["--resume"]).wait_with_output().unwrap();
    assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
    assert_eq!(losses(&broken), losses(&whole), "the same curve, to the last digit");
    let model = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
    assert!(model(&broken) == model(&whole), "and the same model");
}

#[test]
fn a_batch_of_more_windows_than_there_are_is_refused_by_name() {
    let source = "generated:simple";
    let few = ["--signals", "10", "--rows", "40", "--stride", "16", "--steps", "1"];
    let asked = |batch: &'static str| {
        let args = ["train", source, "--window", "16", "--encoder", "simple", "--device", "cpu"];
        lob(&[
            &args[..],
            &few,
            &["--json"],
            &["--batch-size", batch][..if batch.is_empty() { 0 } else { 2 }],
        ]
        .concat())
    };
    let refused = asked("100000");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("`--batch-size` is 100000, but there are"), "{said}");
    // Without the flag a batch has as many as there are.
    let usual = asked("");
    let said = String::from_utf8_lossy(&usual.stderr).into_owned();
    assert_eq!(usual.status.code(), Some(0), "{said}");
    let size =
        json(&String::from_utf8(usual.stdout).unwrap())["config"]["batch_size"].as_u64().unwrap();
    assert!((2..64).contains(&size), "{size}");
    let one_more = (size + 1).to_string();
    let refused = asked(one_more.leak());
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_training_that_no_memory_holds_is_refused_with_its_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = ("generated:simple", folder.path().join("model.safetensors"));
    let more = ["--steps", "1", "--out", shown(&out), "--memory-limit"];
    let said = lob_fails(&tiny(source, &[&more[..], &["1000"]].concat()));
    assert!(said.contains("takes about") && said.contains("--memory-limit allows"), "{said}");
    // So many steps that their times alone fill any machine.
    let said = lob_fails(&tiny(source, &["--steps", "1000000000000", "--out", shown(&out)]));
    assert!(said.contains("takes about") && said.contains("TiB"), "{said}");
    let said = lob_fails(&tiny(
        source,
        &["--steps", "1", "--signals", "100000", "--rows", "40000", "--out", shown(&out)],
    ));
    assert!(said.contains("signals"), "{said}");
    assert!(!out.exists());
    lob_ok(&tiny(source, &[&more[..], &["1000000000"]].concat()));
    assert!(out.exists());
}

#[test]
fn what_was_not_validated_is_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let train = |radius: &str| {
        let more = ["--steps", "2", "--ignore-radius", radius];
        lob_ok(&tiny(shown(&store), &more))
    };
    // No pair of a batch is a negative of another: a loss of 0 whatever the model.
    let text = train("1000000000");
    assert!(text.contains("validation not measured"), "{text}");
    assert!(!text.contains("validation 0"), "{text}");
    assert!(train("1").contains("validation "), "{text}");
    let more = ["--steps", "2", "--ignore-radius", "1000000000", "--json"];
    let document = json(&lob_ok(&tiny(shown(&store), &more)));
    assert!(document["metrics"]["loss"].is_null() && document["metrics"]["top1"].is_null());
}

#[test]
fn a_model_that_will_not_be_saved_is_told_before_it_is_trained() {
    let output = lob(&tiny("generated:simple", &["--steps", "1", "--checkpoint-every", "x"]));
    assert_eq!(output.status.code(), Some(2), "a wrong flag comes first");
    let output = lob(&tiny("generated:simple", &["--steps", "1"]));
    let said = String::from_utf8_lossy(&output.stderr);
    let (warned, trained) = (said.find("will not be saved"), said.find("windows: "));
    assert!(warned.is_some() && trained.is_none_or(|at| warned < Some(at)), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_negative_number_is_the_value_of_its_flag() {
    for (flag, part) in [
        ("--learning-rate", "learning_rate"),
        ("--weight-decay", "weight-decay"),
        ("--accumulate", "invalid value '-1' for '--accumulate"),
        ("--temperature", "temperature"),
    ] {
        let said = lob_fails(&tiny("generated:simple", &["--steps", "1", flag, "-1"]));
        assert!(said.contains(part) && !said.contains("unexpected argument"), "{flag}: {said}");
    }
}
