//! `lob signals`: records and tables in, CSV and Parquet out.

use std::path::Path;

use crate::{evidence, fixture, json, lob, lob_fails, lob_ok, shown};

/// Header and cells of a CSV file.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let split = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut lines = text.lines().map(split);
    let header = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    (header, rows)
}

fn column(table: &(Vec<String>, Vec<Vec<String>>), name: &str) -> Vec<Option<f64>> {
    let at = table.0.iter().position(|other| other == name).unwrap();
    table.1.iter().map(|row| row[at].parse().ok()).collect()
}

#[test]
fn parquet_and_csv_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, parquet) = (folder.path().join("s.csv"), folder.path().join("s.parquet"));
    let input = fixture("small.mbp-10.dbn.zst");
    let indicators = ["--indicators", "rsi:9,macd,vwap:5,kyle_lambda:30,book_imbalance"];
    let run = |out: &Path| {
        let args = ["signals", shown(&input), "--out", shown(out), "--json"];
        json(&lob_ok(&[&args[..], &indicators[..]].concat()))
    };
    let (of_csv, of_parquet) = (run(&csv), run(&parquet));
    assert_eq!(of_csv["rows"], of_parquet["rows"]);
    assert_eq!(of_parquet["output"]["bytes"], std::fs::metadata(&parquet).unwrap().len());
    let stages = of_csv["stages"].as_object().unwrap();
    for stage in ["feature_calculation", "model_inference", "signal_generation", "total"] {
        for figure in ["p50_s", "p99_s", "p999_s"] {
            assert!(stages[stage][figure].as_f64().unwrap() > 0.0, "{stage} {figure}");
        }
    }
    let table = table(&csv);
    assert_eq!(table.1.len() as u64, of_csv["rows"].as_u64().unwrap());
    let rsi = column(&table, "rsi_9");
    assert!(rsi[..9].iter().all(Option::is_none) && rsi.iter().flatten().count() > 100);
    assert!(column(&table, "macd_12_26_9_signal").iter().flatten().count() > 100);
    // Where anything was traded, the average lies near the quotes.
    let bids = column(&table, "bid_px");
    let near = column(&table, "vwap_5").iter().zip(&bids).fold(0, |n, pair| match pair {
        (Some(vwap), Some(bid)) => {
            assert!((vwap / bid - 1.0).abs() < 0.01, "{vwap} {bid}");
            n + 1
        }
        _ => n,
    });
    assert!(near > 10, "{near}");
    let leftovers = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(leftovers, 2, "a temporary file was left behind");
}

#[test]
fn a_table_gets_indicators_and_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    std::fs::write(&input, "price,who\n10,a\n12,b\n11,c\n12,d\n11,e\n14,f\n").unwrap();
    let args = ["signals", shown(&input), "--indicators", "rsi:3,sma:2", "--repeat", "3"];
    let document = json(&lob_ok(&[&args[..], &["--out", shown(&out), "--json"]].concat()));
    assert_eq!(document["ignored_columns"][0], "who");
    assert_eq!(document["indicators"][0]["repeats"], 3);
    assert!(document["indicators"][1]["ns_per_value"].as_f64().unwrap() > 0.0);
    let table = table(&out);
    assert_eq!(table.0, ["rsi_3", "sma_2"]);
    assert_eq!(column(&table, "rsi_3")[3], Some(75.0));
    assert_eq!(column(&table, "sma_2")[..3], [None, Some(11.0), Some(11.5)]);
    let stdout = lob_ok(&["signals", shown(&input), "--indicators", "sma:2"]);
    assert_eq!(stdout.lines().nth(2), Some("11"));
}

#[test]
fn a_fitted_model_is_silent_until_it_has_learned() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("s.csv");
    let input = fixture("small.mbp-10.dbn.zst");
    for model in ["logistic", "embedding"] {
        let fit = ["--model", model, "--fit-rows", "600", "--fit-steps", "2"];
        let args = ["signals", shown(&input), "--out", shown(&out), "--quiet"];
        lob_ok(&[&args[..], &fit[..]].concat());
        let table = table(&out);
        let ids = column(&table, "instrument_id");
        let probabilities = column(&table, "probability");
        let mut seen = std::collections::BTreeMap::new();
        let mut n_answers = 0;
        for (id, probability) in ids.iter().zip(&probabilities) {
            let n = seen.entry(id.unwrap() as u64).or_insert(0);
            *n += 1;
            assert!(*n > 600 || probability.is_none(), "{model}: answered at update {n}");
            n_answers += usize::from(probability.is_some());
        }
        assert!(n_answers > 100, "{model}: {n_answers} answers");
    }
}

/// A rise within the horizon is rarer than half, since the mid often stays: a model fitted to rises
/// against all else was short nearly always.
#[test]
fn a_fitted_model_is_long_about_as_often_as_short() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("m.mbp-10.dbn.zst"), folder.path().join("s.csv"));
    let synth = ["synth", "--records", "30000", "--instruments", "1", "--seed", "8", "--quiet"];
    lob_ok(&[&synth[..], &["--out", shown(&input)]].concat());
    let run = |model: &str, more: &[&str]| {
        let args = ["signals", shown(&input), "--out", shown(&out), "--json", "--model", model];
        json(&lob_ok(&[&args[..], &["--fit-rows", "10000"], more].concat()))
    };
    let found = run("logistic", &["--enter", "0.52"]);
    let count = |name: &str| found["stances"][name].as_u64().unwrap();
    let (long, flat, short) = (count("long"), count("flat"), count("short"));
    assert_eq!(long + flat + short, found["rows"].as_u64().unwrap());
    assert!(long > 500 && short > 500, "{}", found["stances"]);
    assert!(long < 5 * short && short < 5 * long, "{}", found["stances"]);
    // The edge of the table's own positions and quotes, calculated apart.
    let table = table(&out);
    let [bids, asks, trades] = ["bid_px", "ask_px", "trade"].map(|name| column(&table, name));
    let mid = |row: usize| Some((bids[row]? + asks[row]?) / 2.0);
    let (mut gross, mut half_spread, mut n) = (0.0, 0.0, 0.0);
    for (row, trade) in trades.iter().enumerate().filter(|(_, trade)| **trade != Some(0.0)) {
        if row + 50 < trades.len() {
            gross += trade.unwrap().signum() * (mid(row + 50).unwrap() - mid(row).unwrap());
            half_spread += (asks[row].unwrap() - bids[row].unwrap()) / 2.0;
            n += 1.0;
        }
    }
    let edge = &found["edge"];
    assert_eq!((&edge["scored"], &edge["fee_ticks"]), (&(n as u64).into(), &0.0.into()));
    let ratio = edge["gross_ticks"].as_f64().unwrap() / edge["half_spread_ticks"].as_f64().unwrap();
    assert!((ratio - gross / half_spread).abs() < 1e-6, "{edge} {gross} {half_spread}");
    // A half-spread is a multiple of half a step.
    let halves = 2.0 * edge["half_spread_ticks"].as_f64().unwrap() * n;
    assert!((halves - halves.round()).abs() < 1e-6, "{halves}");
    let fee = run("queue-pressure", &["--fee-ticks", "0.25"]);
    let of = |name: &str| fee["edge"][name].as_f64().unwrap();
    assert!((of("net_ticks") - (of("gross_ticks") - of("half_spread_ticks") - 0.25)).abs() < 1e-9);
    let words = lob(&["signals", shown(&input), "--out", shown(&out)]);
    let words = String::from_utf8(words.stderr).unwrap();
    assert!(words.contains("long ") && words.contains("no fee (--fee-ticks): net"), "{words}");
    let said = lob_fails(&["signals", shown(&input), "--out", shown(&out), "--fee-ticks", "-1"]);
    assert!(said.contains("no number of price steps"), "{said}");
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("small.mbp-10.dbn.zst");
    let source = shown(&input);
    assert!(
        lob_fails(&["signals", source, "--indicators", "rsj"]).contains("order_flow_imbalance")
    );
    assert!(lob_fails(&["signals", source, "--json"]).contains("--out"));
    let odd = folder.path().join("s.xlsx");
    assert!(lob_fails(&["signals", source, "--out", shown(&odd)]).contains(".parquet"));
    let csv = folder.path().join("in.csv");
    std::fs::write(&csv, "price\n1\n").unwrap();
    assert!(lob_fails(&["signals", shown(&csv)]).contains("--indicators"));
    let text = lob_fails(&["signals", shown(&csv), "--indicators", "atr"]);
    assert!(text.contains("the high column"), "{text}");
}

#[test]
fn the_real_file_gives_signals() {
    let Some(input) = evidence::real("nautilus_esh4-20231225.mbo.dbn.zst") else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("s.csv");
    lob_ok(&["signals", shown(&input), "--out", shown(&out), "--quiet"]);
    let table = table(&out);
    let answers = column(&table, "probability").into_iter().flatten().collect::<Vec<_>>();
    assert!(answers.len() > 100 && answers.iter().all(|p| (0.0..=1.0).contains(p)));
}

/// The same table as programs write it: with a byte-order mark, in quotes, with CR LF.
#[test]
fn a_table_is_read_however_it_was_saved_and_keeps_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    let plain = "ts_event,price\n5,10\n6,12\n,11\n18446744073709551614,12\n";
    let quoted =
        "\"ts_event\",\"price\"\n\"5\",\"10\"\n6,\"12\"\n,11\n\"18446744073709551614\",12\n";
    let args = ["signals", shown(&input), "--indicators", "rsi:3,sma:2", "--out", shown(&out)];
    let mut results = Vec::new();
    for text in [plain, quoted] {
        for (mark, end) in [("", "\n"), ("\u{feff}", "\n"), ("\u{feff}", "\r\n"), ("", "\r\n")] {
            std::fs::write(&input, format!("{mark}{}", text.replace('\n', end))).unwrap();
            lob_ok(&args);
            results.push(std::fs::read_to_string(&out).unwrap());
        }
    }
    let expected = "ts_event,rsi_3,sma_2\n5,,\n6,,11\n,,11.5\n18446744073709551614,75,11.5\n";
    assert!(results.iter().all(|result| result == expected), "{results:?}");
    let parquet = folder.path().join("out.parquet");
    lob_ok(&["signals", shown(&input), "--indicators", "rsi:3", "--out", shown(&parquet)]);
    std::fs::write(&input, "ts_event;price\n5;10\n").unwrap();
    let said = lob_fails(&args);
    assert!(said.contains("separated by ';'") && said.contains("in.csv"), "{said}");
}
