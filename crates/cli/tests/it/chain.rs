//! One chain: train, embed, evaluate, and signals by the model; what each knows of the one before.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{json, lob, lob_fails, lob_ok, shown};

/// A market of two sessions (days) and its store.
struct Market {
    folder: tempfile::TempDir,
    input: PathBuf,
    store: PathBuf,
}

fn market() -> Market {
    let folder = tempfile::tempdir().unwrap();
    let (input, store) = (folder.path().join("m.mbp-10.dbn.zst"), folder.path().join("store"));
    let synth = ["synth", "--records", "16000", "--sessions", "2", "--seed", "5", "--quiet"];
    lob_ok(&[&synth[..], &["--out", shown(&input)]].concat());
    convert(&input, &store, "10");
    Market { folder, input, store }
}

fn convert(input: &Path, store: &Path, ticks: &str) {
    let labels = ["--lookback", "100", "--lookforward", "100", "--offset", "10"];
    let args = ["convert", shown(input), "--out", shown(store), "--ticks-per-bin", ticks];
    lob_ok(&[&args[..], &labels, &["--horizons", "1,10", "--quiet"]].concat());
}

fn train(store: &Path, run: &Path, more: &[&str]) -> Value {
    let mut args = vec!["train", shown(store), "--checkpoint", shown(run), "--json"];
    args.extend(["--window", "16", "--encoder", "simple", "--embedding", "16", "--seed", "4"]);
    args.extend(["--projection", "8", "--batch-size", "16", "--steps", "20", "--device", "cpu"]);
    args.extend(more);
    json(&lob_ok(&args))
}

fn eval_args<'a>(run: &'a Path, store: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    // What is scored does not matter here, only on which windows.
    let sized =
        ["--seeds", "3", "--max-train", "60", "--max-test", "40", "--labels", "40", "--json"];
    let sized = [&sized[..], &["--tasks", "reversal", "--against", "majority"]].concat();
    [&["eval", shown(run), shown(store)], &sized[..], more].concat()
}

/// The whole of it, each step with what the one before left, and nothing else said twice.
#[test]
fn the_chain_goes_from_training_to_signals_by_the_model_alone() {
    let market = market();
    let (run, out) = (market.folder.path().join("run"), market.folder.path().join("e.parquet"));
    let trained = train(&market.store, &run, &[]);
    let embedded = json(&lob_ok(&[
        "embed",
        shown(&run),
        shown(&market.store),
        "--out",
        shown(&out),
        "--json",
    ]));
    let evaluated = json(&lob_ok(&eval_args(&run, &market.store, &[])));
    let signals = market.folder.path().join("s.parquet");
    let args = ["signals", shown(&market.store), "--model", shown(&run), "--out", shown(&signals)];
    let signalled = json(&lob_ok(&[&args[..], &["--json", "--fee-ticks", "0.1"]].concat()));
    for document in [&embedded, &evaluated] {
        assert_eq!(document["split"]["by"], "model");
        assert_eq!(document["split"]["cuts"], trained["cuts"]);
        assert_eq!(
            (&document["data"], &document["model_data"]),
            (&trained["data"], &trained["data"])
        );
    }
    assert_eq!(embedded["windows"], trained["windows"]);
    assert_eq!(embedded["split"]["windows"], evaluated["split"]["windows"]);
    assert_eq!(signalled["head"], trained["head"]);
    assert_eq!(signalled["edge"]["fee_ticks"], 0.1);
    for path in [&out, &signals] {
        assert_eq!(&std::fs::read(path).unwrap()[..4], b"PAR1");
    }
    let listed = json(&lob_ok(&["runs", shown(&run), "--json"]));
    assert_eq!(listed["runs"][0]["data"], trained["data"]);
    let found: Vec<String> = std::fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("step-"))
        .collect();
    for name in ["settings.toml", "metrics.jsonl", "training.json", "model.safetensors"] {
        assert!(found.iter().any(|other| other == name), "{name}: {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn the_windows_of_evaluation_are_those_of_training() {
    let market = market();
    let run = market.folder.path().join("run");
    let trained = train(&market.store, &run, &[]);
    let found = json(&lob_ok(&eval_args(&run, &market.store, &[])));
    assert_eq!(found["split"]["by"], "model");
    assert_eq!(found["split"]["cuts"], trained["cuts"]);
    // "N windows: so many to train, to validate, to test".
    assert_eq!(found["notes"][0], trained["notes"][0]);
    assert_eq!(found["split"]["trained_windows"], false);

    // Another end of training is another split, and stays with its model.
    let symbols = trained["trained"].clone();
    let other = market.folder.path().join("other");
    let moment = (symbols["first"].as_u64().unwrap() + symbols["last"].as_u64().unwrap()) / 2;
    let moment = lob_contrastive::utc(moment);
    let early = train(&market.store, &other, &["--train-until", &moment]);
    assert_ne!(early["cuts"], trained["cuts"]);
    let found = json(&lob_ok(&eval_args(&other, &market.store, &[])));
    assert_eq!(found["split"]["cuts"], early["cuts"]);
    // The two are not seeds of one training.
    let more = ["--more", shown(&run)];
    let said = lob_fails(&eval_args(&other, &market.store, &more));
    assert!(said.contains("cut elsewhere") && said.contains("--train-until"), "{said}");
    let said = lob_fails(&["train", shown(&market.store), "--train-until", "2031-01-01"]);
    assert!(said.contains("the validation and the test part is empty"), "{said}");
    // Going on with a run means the same windows.
    let args = ["train", shown(&market.store), "--checkpoint", shown(&other), "--resume"];
    let said = lob_fails(&[&args[..], &["--window", "16", "--train-until", "2024-04-02"]].concat());
    assert!(said.contains("the run began with --train-until") && said.contains(&moment), "{said}");
    let said = lob_fails(&["train", "generated:simple", "--train-until", "2031-01-01"]);
    assert!(said.contains("are for stores"), "{said}");
}

#[test]
fn windows_that_trained_a_model_are_not_what_it_is_scored_on() {
    let market = market();
    let (run, other) = (market.folder.path().join("run"), market.folder.path().join("finer"));
    let trained = train(&market.store, &run, &[]);
    convert(&market.input, &other, "7");
    let said = lob_fails(&eval_args(&run, &other, &[]));
    assert!(said.contains("windows that trained the model would be evaluated"), "{said}");
    let first = lob_contrastive::utc(trained["trained"]["first"].as_u64().unwrap());
    assert!(said.contains(&first) && said.contains("--allow-trained-windows"), "{said}");
    let output = lob(&eval_args(&run, &other, &["--allow-trained-windows"]));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("warning: the store has bins of"), "{words}");
    let found = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(found["split"]["trained_windows"], true);

    // Trained on the first day: the second is new, and cut afresh.
    let days: Vec<String> = std::fs::read_dir(&market.store)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("day=").map(str::to_owned))
        .collect();
    let (first, last) = (days.iter().min().unwrap(), days.iter().max().unwrap());
    assert!(first < last, "{days:?}");
    let day = market.folder.path().join("day");
    train(&market.store, &day, &["--days", first]);
    let only = market.store.join(format!("day={last}"));
    let found = json(&lob_ok(&eval_args(&day, &only, &[])));
    assert_eq!(
        (&found["split"]["by"], &found["split"]["trained_windows"]),
        (&"fresh".into(), &false.into())
    );
    assert!(found["notes"].to_string().contains("is after the training windows"), "{found}");
    // Later days of a store that holds both, which is not the one of training as a whole.
    let later = json(&lob_ok(&eval_args(&day, &other, &["--days", last])));
    assert_eq!(later["split"]["trained_windows"], false);
    assert!(lob_fails(&eval_args(&day, &other, &["--days", first])).contains("that trained"));
    // In the whole store the chosen day is found again.
    let found = json(&lob_ok(&eval_args(&day, &market.store, &[])));
    assert_eq!(found["split"]["by"], "model");
    assert_eq!(found["split"]["days"][0], first.as_str());
}

#[test]
fn embeddings_say_where_each_window_comes_from() {
    let market = market();
    let run = market.folder.path().join("run");
    let trained = train(&market.store, &run, &[]);
    let out = market.folder.path().join("e.parquet");
    let embed = |source: &Path, more: &[&str]| {
        let args = ["embed", shown(&run), shown(source), "--out", shown(&out), "--json"];
        json(&lob_ok(&[&args[..], more].concat()))
    };
    let found = embed(&market.store, &[]);
    assert_eq!((&found["windows"], &found["split"]["by"]), (&trained["windows"], &"model".into()));
    let all = embed(&market.store, &["--all-windows"]);
    assert!(all["windows"].as_u64() > found["windows"].as_u64(), "{all}");
    // Of another store all windows are embedded, whatever the model was trained on.
    let other = market.folder.path().join("coarser");
    convert(&market.input, &other, "13");
    let found = embed(&other, &[]);
    assert_eq!(found["split"]["by"], "none");
    let bytes = std::fs::read(&out).unwrap();
    for name in ["symbol", "file_name", "ts_first", "ts_event", "part", "forward_10", "e015"] {
        assert!(bytes.windows(name.len()).any(|w| w == name.as_bytes()), "{name}");
    }
    let said =
        lob_fails(&["embed", shown(&run), shown(&other), "--out", "x.npy", "--symbols", "X"]);
    assert!(said.contains("has not the symbol `X`"), "{said}");
}

#[test]
fn a_look_at_what_training_leaves_says_what_it_was_made_of() {
    let market = market();
    let run = market.folder.path().join("run");
    let trained = train(&market.store, &run, &["--checkpoint-every", "10"]);
    let (model, out) = (run.join("model.safetensors"), market.folder.path().join("e.parquet"));
    let inspect = |path: &Path| json(&lob_ok(&["inspect", shown(path), "--json"]));
    let found = inspect(&model);
    assert_eq!((&found["kind"], &found["model"]["version"]), (&"model".into(), &3.into()));
    let training = &found["model"]["training"];
    assert_eq!(training["cuts"], trained["cuts"]);
    assert_eq!(training["trained"], trained["trained"]);
    assert_eq!(training["config"], trained["config"]);
    assert_eq!(training["facts"]["bin_rule"], "updates=10");
    assert_eq!(training["inputs"].as_array().unwrap().len(), 12);
    let names = training["facts"]["labels"].to_string();
    assert!(names.contains("forward_10"), "{names}");
    let loss = training["result"]["validation_loss"].as_f64().unwrap();
    assert!((loss - trained["metrics"]["loss"].as_f64().unwrap()).abs() < 1e-6);
    let words = lob_ok(&["inspect", shown(&model)]);
    for part in ["embargo", "updates=10", "mid_change_steps", "from 20", "batch_size", "forward_10"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    let folder = inspect(&run);
    assert_eq!((&folder["kind"], &folder["run"]["steps"]), (&"run".into(), &20.into()));
    assert_eq!(folder["model"], found["model"]);
    let checkpoint = inspect(&run.join("step-00000020.safetensors"));
    assert_eq!(
        (&checkpoint["kind"], &checkpoint["checkpoint"]["step"]),
        (&"checkpoint".into(), &20.into())
    );
    assert!(
        lob_ok(&["inspect", shown(&run.join("step-00000010.safetensors"))]).contains("10 of 20")
    );
    lob_ok(&["embed", shown(&run), shown(&market.store), "--out", shown(&out), "--quiet"]);
    let table = inspect(&out);
    assert_eq!((&table["kind"], &table["rows"]), (&"embeddings".into(), &trained["windows"]));
    assert_eq!(table["described"]["loblab:embeddings"], "2");
    assert!(lob_ok(&["inspect", shown(&out)]).contains("forward_10"));
    // A store and a file of one are still stores.
    assert_eq!(inspect(&market.store)["kind"], "store");
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() - 3]).unwrap();
    assert!(lob_fails(&["inspect", shown(&model)]).contains("model.safetensors"));
    std::fs::write(&model, b"{}").unwrap();
    assert!(lob_fails(&["inspect", shown(&model)]).contains("model.safetensors"));
}

#[test]
fn runs_are_listed_and_compared_by_what_differs() {
    let market = market();
    let runs = market.folder.path().join("runs");
    let a = train(&market.store, &runs.join("a"), &["--evaluate-every", "5"]);
    // No pair is a negative of another: nothing is measured, and nothing is 0.
    let b = train(
        &market.store,
        &runs.join("b"),
        &["--learning-rate", "0.01", "--ignore-radius", "1000000000"],
    );
    assert!(b["metrics"]["loss"].is_null(), "{b}");
    let found = json(&lob_ok(&["runs", shown(&runs), "--json"]));
    let list = found["runs"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        (&list[0]["validation_loss"], &list[0]["data"]),
        (&a["metrics"]["loss"], &a["data"])
    );
    assert_eq!(list[0]["encoder"], "mlp 256-16");
    assert!(list[0]["best_validation"][0].as_u64().is_some_and(|step| step % 5 == 0), "{found}");
    assert!(list[1]["validation_loss"].is_null() && list[1]["best_validation"].is_null());
    let differing: Vec<&String> = found["differing"].as_object().unwrap().keys().collect();
    assert_eq!(differing, ["evaluate_every", "ignore_radius", "optimiser.learning_rate"]);
    let words = lob_ok(&["runs", shown(&runs)]);
    assert!(words.contains("not measured") && !words.contains("0.000"), "{words}");
    let log = std::fs::read_to_string(runs.join("b/metrics.jsonl")).unwrap();
    assert!(
        log.contains("\"metrics\":{\"loss\":null") && !log.contains("\"metrics\":{\"loss\":0"),
        "{log}"
    );
    // The settings of a run make the same run again.
    let again = runs.join("again");
    let settings = runs.join("a/settings.toml");
    let args = ["train", shown(&market.store), "--config", shown(&settings), "--json"];
    let same = json(&lob_ok(&[&args[..], &["--checkpoint", shown(&again)]].concat()));
    assert_eq!((&same["loss_last"], &same["config"]), (&a["loss_last"], &a["config"]));
    assert_eq!(
        std::fs::read(&settings).unwrap(),
        std::fs::read(again.join("settings.toml")).unwrap()
    );
    assert!(lob_fails(&["runs", shown(&market.store)]).contains("has no training run"));
}

/// Header and rows of a CSV file.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    (rows.next().unwrap(), rows.collect())
}

/// The end of the chain: the same bins, whether they come out of the store or out of the records it
/// was made of, have the same probabilities and positions.
#[test]
fn a_trained_model_gives_the_same_signals_from_a_store_and_from_its_records() {
    let market = market();
    let run = market.folder.path().join("run");
    let trained = train(&market.store, &run, &[]);
    let head = &trained["head"];
    assert_eq!(head["classes"], serde_json::json!(["down", "flat", "up"]), "{head}");
    let rates: Vec<f64> =
        head["base_rates"].as_array().unwrap().iter().map(|rate| rate.as_f64().unwrap()).collect();
    assert!((rates.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{rates:?}");
    assert!(head["n_train"].as_u64().unwrap() > 100 && head["n_validation"].as_u64().unwrap() > 10);
    assert_eq!(&json(&lob_ok(&["inspect", shown(&run), "--json"]))["model"]["head"], head);
    assert!(lob_ok(&["inspect", shown(&run)]).contains("head for `forward_10`"));
    let signals = |source: &Path, name: &str| {
        let out = market.folder.path().join(name);
        let args =
            ["signals", shown(source), "--model", shown(&run), "--out", shown(&out), "--json"];
        let found = json(&lob_ok(&[&args[..], &["--enter", "0.51", "--exit", "0.5"]].concat()));
        (found, table(&out))
    };
    let (of_store, (header, mut bins)) = signals(&market.store, "store.csv");
    let (of_records, (same, mut records)) = signals(&market.input, "records.csv");
    assert_eq!(header, same);
    let names = "ts_event,instrument_id,symbol,bid_px,ask_px,p_down,p_flat,p_up,probability,stance,\
                 trade,position";
    assert_eq!(header.join(","), names);
    bins.sort();
    records.sort();
    assert_eq!(bins.len(), records.len());
    for (bin, record) in bins.iter().zip(&records) {
        assert_eq!(bin, record);
    }
    for key in ["rows", "stances", "edge", "base_rate", "symbols"] {
        assert_eq!(of_store[key], of_records[key], "{key}");
    }
    // A row for each bin; the first of each day have no window, the others probabilities.
    let n_bins = json(&lob_ok(&["inspect", shown(&market.store), "--json"]))["rows"].clone();
    assert_eq!(of_store["rows"], n_bins);
    let n_empty = bins.iter().filter(|row| row[7].is_empty()).count();
    assert!((2 * 15..4 * 16).contains(&n_empty), "{n_empty}");
    for row in bins.iter().filter(|row| !row[7].is_empty()) {
        let p: Vec<f64> = row[5..9].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!((p[0] + p[1] + p[2] - 1.0).abs() < 1e-5, "{row:?}");
        assert!((p[3] - p[2] / (p[0] + p[2])).abs() < 1e-4, "{row:?}");
    }
    let count = |name: &str| of_store["stances"][name].as_u64().unwrap();
    assert_eq!(count("long") + count("flat") + count("short"), of_store["rows"].as_u64().unwrap());
    assert!(count("long") > 0 && count("short") > 0, "{}", of_store["stances"]);
    assert_eq!(
        (&of_store["edge"]["horizon"], &of_store["edge"]["unit"]),
        (&10.into(), &"bins".into())
    );
}

#[test]
fn signals_of_a_model_refuse_what_they_cannot_answer_for() {
    let market = market();
    let (run, none, side) = (
        market.folder.path().join("run"),
        market.folder.path().join("none"),
        market.folder.path().join("regime"),
    );
    train(&market.store, &run, &[]);
    let without = train(&market.store, &none, &["--head-label", "none"]);
    assert!(without["head"].is_null());
    let tradable = train(&market.store, &side, &["--head-label", "next_trade_side"]);
    assert_eq!(tradable["head"]["classes"], serde_json::json!(["sell", "buy"]));
    let coarser = market.folder.path().join("coarser");
    convert(&market.input, &coarser, "13");
    let said = |source: &Path, model: &str, more: &[&str]| {
        let args = ["signals", shown(source), "--model", model];
        lob_fails(&[&args[..], more].concat())
    };
    assert!(said(&market.store, shown(&none), &[]).contains("one without a head"));
    assert!(said(&market.store, shown(&side), &[]).contains("is no direction"));
    let text = said(&coarser, shown(&run), &[]);
    assert!(text.contains("`updates=13`, those of the model `updates=10`"), "{text}");
    assert!(said(&market.store, shown(&run), &["--indicators", "rsi"]).contains("--indicators"));
    assert!(
        said(&market.store, shown(&run), &["--symbol", "X"]).contains("has not the symbol `X`")
    );
    assert!(said(&market.store, "queue_pressure", &[]).contains("`queue_pressure` is no model"));
    // Another market: the model does not know its price steps.
    let other = market.folder.path().join("o.mbp-10.dbn.zst");
    let synth = ["synth", "--records", "2000", "--instruments", "3", "--quiet", "--out"];
    lob_ok(&[&synth[..], &[shown(&other)]].concat());
    let text = said(&other, shown(&run), &[]);
    assert!(text.contains("the model knows the price steps of"), "{text}");
    let said = lob_fails(&["train", shown(&market.store), "--head-label", "nothing"]);
    assert!(said.contains("the label `nothing`") && said.contains("forward_10"), "{said}");
    // A recording so short that the mid never rises in its training part.
    let formats = super::workspace().join("fixtures/formats");
    let (short, source) =
        (market.folder.path().join("short"), formats.join("source.mbp-10.dbn.zst"));
    let args =
        ["convert", shown(&source), "--out", shown(&short), "--ticks-per-bin", "3", "--quiet"];
    let labels = ["--lookback", "6", "--lookforward", "6", "--offset", "1", "--horizons", "1,5"];
    lob_ok(&[&args[..], &labels].concat());
    let (still, settings) =
        (market.folder.path().join("still"), formats.join("settings-v1/train.toml"));
    let args =
        ["train", shown(&short), "--config", shown(&settings), "--checkpoint", shown(&still)];
    lob_ok(&[&args[..], &["--head-label", "forward_1", "--quiet"]].concat());
    let said = lob_fails(&["signals", shown(&short), "--model", shown(&still)]);
    assert!(said.contains("has seen no window of class `up`"), "{said}");
    // The fixture of version 2 has no head, and no price steps.
    let old = super::workspace().join("fixtures/formats/model-v2.safetensors");
    let args = ["signals", shown(&market.store), "--model", shown(&old)];
    assert!(lob_fails(&args).contains("one without a head"));
}
