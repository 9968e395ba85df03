//! Training, embedding and evaluation through the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{json, lob, lob_fails, lob_ok, shown};

const IMAGES: [f64; 6] = [2.1995003, 2.1065636, 2.034656, 1.7983606, 1.4903214, 1.4752712];
const SHIFTED: [f64; 6] = [2.289244, 2.6148968, 2.364952, 2.301789, 1.987509, 2.0097158];
const BINS: [f64; 6] = [2.3453414, 2.7707152, 2.8776388, 2.6119537, 2.5115318, 2.6520329];
const SIGNALS: [f64; 6] = [2.480719, 2.975037, 2.9613032, 2.9916458, 2.9824388, 2.9768167];

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

    let sized = ["--seeds", "3", "--max-train", "200", "--labels", "50", "--json"];
    let sized = [&sized[..], &["--tasks", "forward_3,reversal"]].concat();
    let sized = [&sized[..], &["--against", "raw,hand_statistics,past_value"]].concat();
    let report = folder.path().join("report");
    let evaluated =
        [&["eval", shown(&model), shown(&store), "--out", shown(&report)], &sized[..]].concat();
    let evaluated = json(&lob_ok(&evaluated));
    for name in [
        "run.json",
        "report.html",
        "confusion_of_forward_3.png",
        "labels_that_reversal_needs.png",
        "what_the_embedding_adds_to_the_best_hand_made_features.png",
        "window_1_and_what_the_model_calls_alike.png",
    ] {
        assert!(report.join(name).is_file(), "{name}");
    }
    let rows = evaluated["table"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * (8 + 5), "two tasks: three read-outs, one more, one alone");
    for row in rows {
        let blocks = row["n_blocks"].as_u64().unwrap();
        assert_eq!(row["ci95"].is_array(), blocks >= 6, "{row}");
        assert!(row["n_independent"].as_u64().unwrap() >= 5, "{row}");
    }
    let name = [&["eval", shown(&model), shown(&store)], &["--tasks", "regime"][..]].concat();
    let refused = lob_fails(&name);
    assert!(refused.contains("no task `regime`") && refused.contains("forward_3"), "{refused}");
    let findings = evaluated["findings"].to_string();
    // Some hundred test bins are a few blocks of time: nothing can be said, and is said.
    assert!(findings.contains("too few to say") && findings.contains("no forecast of prices"));
    assert!(!findings.contains("they beat"), "{findings}");
    assert!(
        lob_fails(&["eval", shown(&model), shown(&store), "--seeds", "2"]).contains("at least 3")
    );
    assert!(
        lob_fails(&["embed", shown(&model), shown(&store), "--out", "x.csv"]).contains("x.csv")
    );
    assert!(lob_fails(&["embed", shown(&npy), shown(&store), "--out", "x.npy"]).contains("e.npy"));
}

/// What a model, a checkpoint and embeddings were made of travels with them.
#[test]
fn a_run_goes_on_with_its_own_data_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path());
    let other = folder.path().join("other");
    let input = folder.path().join("market.mbp-10.dbn.zst");
    let labels = ["--lookback", "100", "--lookforward", "100", "--offset", "10", "--quiet"];
    let bins = ["convert", shown(&input), "--out", shown(&other), "--ticks-per-bin", "9"];
    lob_ok(&[&bins[..], &labels].concat());
    let run = folder.path().join("run");
    let begin = ["--steps", "3", "--checkpoint-every", "1", "--checkpoint", shown(&run), "--json"];
    let trained = json(&lob_ok(&tiny(shown(&first), &begin)));
    // As if it had been killed in its last step.
    std::fs::remove_file(run.join("step-00000003.safetensors")).unwrap();
    let data = trained["data"].as_str().unwrap();
    let resume = [&begin[..], &["--resume"]].concat();
    let refused = lob_fails(&tiny(shown(&other), &resume));
    assert!(refused.contains(data) && refused.contains("--allow-other-data"), "{refused}");
    assert!(refused.contains("step-00000002.safetensors"), "{refused}");
    let allowed = [&resume[..], &["--allow-other-data"]].concat();
    let allowed = json(&lob_ok(&tiny(shown(&other), &allowed)));
    assert_eq!((&allowed["first_step"], &allowed["steps"]), (&2.into(), &3.into()));
    assert_ne!(allowed["data"], data);
    // The model is that of the store it was trained on last; other data are embedded and said to be.
    let model = run.join("model.safetensors");
    let out = folder.path().join("e.parquet");
    let embed = |store: &Path| {
        let args = ["embed", shown(&model), shown(store), "--out", shown(&out), "--json"];
        let found = lob(&args);
        let said = String::from_utf8(found.stderr).unwrap();
        (json(&String::from_utf8(found.stdout).unwrap()), said.contains("trained on other data"))
    };
    let (same, is_told) = embed(&other);
    assert_eq!((&same["data"], &same["model_data"]), (&allowed["data"], &allowed["data"]));
    assert!(!is_told);
    let (found, is_told) = embed(&first);
    assert_eq!((&found["data"], &found["model_data"]), (&trained["data"], &allowed["data"]));
    assert!(is_told);
    let bytes = std::fs::read(&out).unwrap();
    assert!(bytes.windows(data.len()).any(|w| w == data.as_bytes()), "the footer names its data");
    let sized =
        ["--seeds", "3", "--max-train", "60", "--max-test", "40", "--labels", "40", "--json"];
    let sized = [&sized[..], &["--tasks", "reversal", "--against", "majority"]].concat();
    let eval = [&["eval", shown(&model), shown(&first)], &sized[..]].concat();
    assert!(lob_fails(&eval).contains("windows that trained the model would be evaluated"));
    let evaluated = json(&lob_ok(&[&eval[..], &["--allow-trained-windows"]].concat()));
    assert_eq!(
        (&evaluated["data"], &evaluated["model_data"]),
        (&trained["data"], &allowed["data"])
    );
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

/// Losses of a run that stops, if `stops`, and goes on with other workers.
fn curve(run: &Path, args: &[&str], n_workers: [&str; 2], stops: bool) -> Vec<f64> {
    let common = ["--window", "8", "--encoder", "simple", "--embedding", "8", "--projection", "4"];
    let more = ["--batch-size", "8", "--accumulate", "2", "--grad-cache", "5", "--device", "cpu"];
    let last = ["--loss", "infonce", "--queue", "12", "--dropout", "0.2", "--learn-temperature"];
    let end = ["--seed", "4", "--evaluate-every", "3", "--schedule", "constant", "--quiet"];
    let all = [&["train"][..], args, &common, &more, &last, &end, &["--checkpoint", shown(run)]];
    let all = all.concat();
    if stops {
        lob_ok(&[&all[..], &["--steps", "2", "--workers", n_workers[1]]].concat());
    }
    lob_ok(&[&all[..], &["--steps", "6", "--resume", "--workers", n_workers[0]]].concat());
    losses(run)
}

/// The losses are those of the program before the loader drew the pairs: recorded by a release
/// build of revision 61fd155 on a processor with AVX-512, whose products add up in another order
/// than those of others.
#[test]
fn losses_are_those_of_the_training_thread_before_there_was_a_loader() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let input = super::fixture("small.mbp-10.dbn.zst");
    let mut convert = vec!["convert", shown(&input), "--out", shown(&store), "--quiet"];
    convert.extend(["--ticks-per-bin", "5", "--lookback", "20", "--lookforward", "20"]);
    // The cuts were made for labels that reach no farther than this.
    convert.extend(["--offset", "5", "--label-classes", "3", "--horizons", "none"]);
    lob_ok(&convert);
    let store = shown(&store);
    let images = ["--input", "images", "--side-flip", "0.5", "--level-shift", "2"];
    let cases: [(Vec<&str>, [f64; 6]); 4] = [
        (vec![store, "--input", "images", "--stride", "1"], IMAGES),
        ([&[store, "--stride", "2", "--positives", "apart"][..], &images].concat(), SHIFTED),
        (vec![store, "--input", "bins", "--stride", "1"], BINS),
        (vec!["generated:complex", "--signals", "30"], SIGNALS),
    ];
    for (args, expected) in cases {
        let model = |run: &Path| std::fs::read(run.join("model.safetensors")).unwrap();
        let first = folder.path().join("first");
        assert_recorded(&curve(&first, &args, ["0", "0"], false), &expected);
        let others =
            [(["1", "1"], false), (["2", "2"], false), (["2", "0"], true), (["0", "2"], true)];
        for (n_workers, stops) in others {
            let run = folder.path().join("run");
            let found = curve(&run, &args, n_workers, stops);
            assert_eq!(found, losses(&first), "{args:?} {n_workers:?} {stops}");
            assert!(model(&run) == model(&first), "{args:?} {n_workers:?} {stops}");
            std::fs::remove_dir_all(run).unwrap();
        }
        std::fs::remove_dir_all(first).unwrap();
    }
}

fn assert_recorded(found: &[f64], expected: &[f64]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?}");
}

#[test]
fn workers_are_a_flag_and_a_setting_and_their_number_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("train.toml");
    let trained = |more: &[&str]| {
        let more = [&["--signals", "60", "--steps", "3", "--json"][..], more].concat();
        json(&lob_ok(&tiny("generated:complex", &more)))
    };
    assert_eq!(trained(&[])["workers"], 2);
    std::fs::write(&config, "workers = 1\nprefetch-bytes = 0\n").unwrap();
    let found = trained(&["--config", shown(&config)]);
    assert_eq!(found["workers"], 1);
    let share = found["data_wait_share"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&share), "{share}");
    assert_eq!(trained(&["--config", shown(&config), "--workers", "0"])["workers"], 0);
    let more = ["--signals", "60", "--steps", "3", "--workers", "5000"];
    let said = lob_fails(&tiny("generated:complex", &more));
    assert!(said.contains("option `workers` is `5000`, expected at most `1024`"), "{said}");
}

/// Issue 20, line 6: going on with a run that is done.
#[test]
fn a_finished_run_that_is_resumed_is_done() {
    let folder = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--patience", "1", "--min-delta", "100", "--evaluate-every", "4"]] {
        let run = folder.path().join(format!("{}", more.len()));
        let settings = ["--signals", "60", "--steps", "20", "--checkpoint", shown(&run)];
        let args = |flag: &[&'static str]| {
            let all = [&settings[..], more, flag].concat();
            let args: Vec<String> =
                tiny("generated:complex", &all).into_iter().map(str::to_owned).collect();
            args
        };
        let go = |flag: &[&'static str]| {
            let args = args(flag);
            lob_ok(&args.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let first = json(&go(&["--json"]));
        let steps = first["steps"].as_u64().unwrap();
        assert_eq!(steps < 20, !more.is_empty(), "{first}");
        let model = std::fs::read(run.join("model.safetensors")).unwrap();
        let again = json(&go(&["--resume", "--json"]));
        for key in ["steps", "ended", "best_step", "metrics", "loss_last"] {
            assert_eq!(again[key], first[key], "{key}");
        }
        assert_eq!(again["first_step"], steps);
        assert!(again["data_wait_share"].is_null() && again["pairs_per_s"].is_null(), "{again}");
        assert!(std::fs::read(run.join("model.safetensors")).unwrap() == model);
        assert!(go(&["--resume"]).contains("the run was done before: no step was left to take"));
        assert_eq!(losses(&run).len() as u64, steps);
    }
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
    // Nor does it end a run early: nothing was measured that could no longer fall.
    let more = ["--steps", "6", "--ignore-radius", "1000000000", "--json"];
    let early = ["--patience", "1", "--evaluate-every", "1"];
    let document = json(&lob_ok(&tiny(shown(&store), &[&more[..], &early].concat())));
    assert_eq!((&document["ended"], &document["steps"]), (&"finished".into(), &6.into()));
    assert!(document["best_step"].is_null() && document["validation"].is_null(), "{document}");
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
