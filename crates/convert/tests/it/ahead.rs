//! Labels that look forward, against the updates of the input.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use dbn::{
    MboMsg, Mbp10Msg, UNDEF_PRICE,
    decode::{DecodeRecord, DynDecoder},
};
use lob_book::Replayer;
use lob_convert::{ConvertConfig, ForwardClasses, Horizon, convert};
use lob_depth::BinRule;
use lob_store::{LabelCell, Store, StoredBin};

use crate::{market, small, tree};

/// Time, twice the mid in price steps, and of a trade whether a buyer took liquidity.
type Seen = (u64, Option<i64>, Option<bool>);

/// The books of a file, one for each update.
fn books(path: &Path) -> Vec<Mbp10Msg> {
    let mut decoder = DynDecoder::from_file(path, dbn::VersionUpgradePolicy::default()).unwrap();
    let (mut replayer, mut all) = (Replayer::new(), Vec::new());
    if path.to_string_lossy().contains("mbo") {
        while let Some(order) = decoder.decode_record::<MboMsg>().unwrap() {
            all.extend(replayer.push_ref(order).unwrap().cloned());
        }
    } else {
        while let Some(record) = decoder.decode_record::<Mbp10Msg>().unwrap() {
            all.push(record.clone());
        }
    }
    all
}

/// The updates of each instrument that become part of bins, in order.
fn updates(path: &Path, step: impl Fn(u32) -> i64) -> BTreeMap<u32, Vec<Seen>> {
    let mut all: BTreeMap<u32, Vec<Seen>> = BTreeMap::new();
    for record in books(path) {
        if record.flags.is_snapshot() {
            continue;
        }
        let (id, touch) = (record.hd.instrument_id, &record.levels[0]);
        let has_mid = touch.bid_px != UNDEF_PRICE && touch.ask_px != UNDEF_PRICE;
        let mid = has_mid.then(|| (touch.bid_px + touch.ask_px) / step(id));
        let is_trade = record.action.cast_unsigned() == b'T';
        let trade = is_trade.then(|| record.side.cast_unsigned() == b'B');
        all.entry(id).or_default().push((record.hd.ts_event, mid, trade));
    }
    all
}

fn cell(value: Option<f64>, class: Option<i32>) -> LabelCell {
    LabelCell { value, class }
}

/// What row `row` should have of the label of this name, by plain loops. `of` are the updates of its
/// segment and `at` the row's last one among them; `mids` are those of the rows of the segment.
fn expected(name: &str, row: usize, mids: &[Option<i64>], at: usize, of: &[Seen]) -> LabelCell {
    let (now, mid, _) = of[at];
    assert_eq!(mids[row], mid, "a row ends with the update that it says");
    let after = &of[at + 1..];
    let forward = |later: Option<i64>| {
        let value = later.zip(mid).map(|(later, now)| later - now);
        cell(value.map(|x| x as f64), value.map(|x| 1 + x.signum() as i32))
    };
    if let Some(number) = name.strip_prefix("forward_") {
        if let Some(seconds) = number.strip_suffix('s') {
            let until = now + seconds.parse::<u64>().unwrap() * 1_000_000_000;
            let is_known = of.last().unwrap().0 >= until;
            let last = of[at..].iter().take_while(|update| update.0 <= until).last();
            return forward(last.filter(|_| is_known).and_then(|update| update.1));
        }
        if let Some(n) = number.strip_suffix('u') {
            return forward(after.get(n.parse::<usize>().unwrap() - 1).and_then(|update| update.1));
        }
        return forward(mids.get(row + number.parse::<usize>().unwrap()).copied().flatten());
    }
    if let Some(n) = name.strip_prefix("volatility_") {
        let path = mids.get(row..=row + n.parse::<usize>().unwrap());
        let square = |pair: &[Option<i64>]| Some(((pair[1]? - pair[0]?) as f64 / 2.0).powi(2));
        let squares = path.and_then(|path| path.windows(2).map(square).sum::<Option<f64>>());
        return cell(squares.map(f64::sqrt), None);
    }
    if name == "next_change" {
        let other = mid.and_then(|mid| after.iter().find(|u| u.1.is_some_and(|m| m != mid)));
        let wait = other.map(|update| (update.0 - now) as f64);
        return cell(wait, other.map(|update| i32::from(update.1 > mid)));
    }
    assert_eq!(name, "next_trade_side");
    let side = after.iter().find_map(|update| update.2).map(i32::from);
    cell(side.map(f64::from), side)
}

/// How many labels of each name have a value, and how many have none.
fn check(store: &Path, input: &Path) -> BTreeMap<String, [u32; 2]> {
    let store = Store::open(store).unwrap();
    let step =
        |id| store.files().iter().find(|f| f.meta().instrument_id == id).unwrap().meta().price_step;
    let all = updates(input, step);
    let mut seen: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    // Where the segment of a file begins in the updates of its instrument: days are in path order.
    let mut begun: BTreeMap<u32, usize> = BTreeMap::new();
    for file in store.files() {
        let updates = &all[&file.meta().instrument_id];
        let first = begun.entry(file.meta().instrument_id).or_default();
        let rows = file.rows(0..file.len()).unwrap();
        for run in rows.chunk_by(|a, b| a.segment == b.segment) {
            let end = run.last().unwrap().bin.last_update as usize + 1;
            let of = &updates[*first..end];
            let mid = |row: &StoredBin| {
                let bin = &row.bin;
                bin.has_mid().then(|| i64::from(bin.last_bid) + i64::from(bin.last_ask))
            };
            let mids: Vec<_> = run.iter().map(mid).collect();
            for (row, stored) in run.iter().enumerate() {
                let at = stored.bin.last_update as usize - *first;
                for (label, found) in file.meta().labels[1..].iter().zip(&stored.others) {
                    let expected = expected(&label.name, row, &mids, at, of);
                    assert_eq!(*found, expected, "{}, row {row} of {:?}", label.name, file.path());
                    let seen = seen.entry(label.name.clone()).or_default();
                    seen[usize::from(found.value.is_none())] += 1;
                }
            }
            *first = end;
        }
        assert!(first == &updates.len() || rows.last().unwrap().bin.last_update > 0);
    }
    seen
}

fn horizons(texts: &[&str]) -> Option<Vec<Horizon>> {
    Some(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn every_label_equals_a_plain_loop_over_the_updates() {
    let folder = tempfile::tempdir().unwrap();
    for (name, rule) in [
        ("ticks.mbp-10", BinRule::Updates(20)),
        ("orders.mbo", BinRule::Updates(15)),
        ("time.mbp-10", BinRule::TimeNs(700_000_000)),
        ("volume.mbp-10", BinRule::Volume(12)),
    ] {
        // Four instruments, one thin with empty sides and one with negative prices, on two days.
        let input = market(folder.path(), &format!("{name}.dbn"), 24_000, 4, 2);
        let mut config = small(folder.path().join(name));
        config.bin_rule = rule;
        config.horizons = horizons(&["1", "3", "10b", "50", "7u", "500u", "2s", "30s"]);
        convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let seen = check(&config.out, &input);
        let names: Vec<_> = seen.keys().map(String::as_str).collect();
        let all = "forward_1 forward_10 forward_2s forward_3 forward_30s forward_50 forward_500u \
                   forward_7u next_change next_trade_side volatility_10 volatility_3 volatility_50";
        assert_eq!(names, all.split(' ').collect::<Vec<_>>());
        for (label, [known, unknown]) in seen {
            assert!(known > 30 && unknown > 0, "{name} {label}: {known} {unknown}");
        }
    }
}

/// Snapshots in mid session, ids dealt anew and spoilt times: whatever a row says of what follows is of
/// its own segment, and the next row cannot know better.
#[test]
fn rows_of_messy_markets_look_forward_within_their_segments() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mess) in
        [("daily.mbp-10", lob_synth::Mess::daily()), ("live.mbo", lob_synth::Mess::live())]
    {
        let input = folder.path().join(format!("{name}.dbn"));
        let schema =
            if name.contains("mbo") { lob_synth::Schema::Mbo } else { lob_synth::Schema::Mbp10 };
        let synth = lob_synth::SynthConfig {
            records: 60_000,
            instruments: 2,
            sessions: 2,
            seed: 3,
            schema,
        };
        lob_synth::write_messy_file(&synth, &mess, &input, &|| false).unwrap();
        let mut config = small(folder.path().join(name));
        config.horizons = horizons(&["1", "10", "40u", "3s"]);
        convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let (mut runs, mut moves) = (0, 0);
        for file in Store::open(&config.out).unwrap().files() {
            let labels = &file.meta().labels[1..];
            let at = |name: &str| labels.iter().position(|label| label.name == name).unwrap();
            let rows = file.rows(0..file.len()).unwrap();
            for run in rows.chunk_by(|a, b| a.segment == b.segment) {
                runs += 1;
                // Of a last row nothing is known: its segment ends with it.
                let last = run.last().unwrap();
                assert!(last.others.iter().all(|cell| *cell == LabelCell::default()), "{last:?}");
                for pair in run.windows(2) {
                    let mid = |row: &StoredBin| {
                        row.bin.has_mid().then(|| row.bin.last_bid + row.bin.last_ask)
                    };
                    let Some((now, next)) = mid(&pair[0]).zip(mid(&pair[1])) else { continue };
                    let of = |name: &str| pair[0].others[at(name)];
                    assert_eq!(of("forward_1").value, Some(f64::from(next - now)));
                    if now != next {
                        moves += 1;
                        assert!(
                            of("next_change").class.is_some(),
                            "the mid of the next row is another"
                        );
                        let until =
                            pair[1].bin.ts_event_last.checked_sub(pair[0].bin.ts_event_last);
                        let wait = of("next_change").value.zip(until.map(|ns| ns as f64));
                        // Two clocks out of step may have the change later than the row behind it.
                        assert!(wait.is_none_or(|(wait, until)| wait <= until + 4e9), "{wait:?}");
                    }
                }
            }
        }
        assert!(runs > 8 && moves > 100, "{name}: {runs} {moves}");
    }
}

/// Where nothing is asked for, bins look forward by 1, 3, 10 and 50 bins, in three classes.
#[test]
fn forward_labels_are_the_default_and_none_turns_them_off() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 12_000, 2, 1);
    let inputs = std::slice::from_ref(&input);
    let config = small(folder.path().join("default"));
    let summary = convert(inputs, &config, &()).unwrap();
    check(&config.out, &input);
    let names: Vec<_> = summary.labels.iter().map(|label| label.name.as_str()).collect();
    let all = "reversal forward_1 forward_3 forward_10 forward_50 volatility_3 volatility_10 \
               volatility_50 next_change next_trade_side";
    assert_eq!(names, all.split(' ').collect::<Vec<_>>());
    let store = Store::open(&config.out).unwrap();
    assert_eq!(store.default_label(), "forward_10");
    for file in store.files() {
        let of_file: Vec<_> = file.meta().labels.iter().map(|label| label.name.as_str()).collect();
        assert_eq!(of_file, names);
        assert_eq!(
            (file.meta().labels[1].classes, &*file.meta().labels[1].edges),
            (3, &[0.0, 1.0][..])
        );
    }
    let mut off = small(folder.path().join("off"));
    off.horizons = Some(Vec::new());
    assert_eq!(convert(inputs, &off, &()).unwrap().labels.len(), 1);
    let bare = Store::open(&off.out).unwrap();
    assert_eq!(bare.default_label(), "reversal");
    // Whatever else a row has is the same.
    for (with, without) in store.files().iter().zip(bare.files()) {
        let rows = with.rows(0..with.len()).unwrap().into_iter();
        let rows: Vec<_> = rows.map(|row| StoredBin { others: Vec::new(), ..row }).collect();
        assert_eq!(rows, without.rows(0..without.len()).unwrap());
        assert_eq!(with.meta().label, without.meta().label);
    }
}

/// Classes by other rules, each by its own words.
#[test]
fn classes_are_those_of_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn.zst", 20_000, 2, 1);
    let rules = ["none", "fixed=0.5", "fixed=1.3", "spread", "volatility", "volatility=2"];
    for text in rules {
        let mut config = small(folder.path().join(text));
        config.horizons = horizons(&["1", "10"]);
        config.forward_classes = text.parse().unwrap();
        convert(std::slice::from_ref(&input), &config, &()).unwrap();
        let mut counts = [0; 3];
        for file in Store::open(&config.out).unwrap().files() {
            let rows = file.rows(0..file.len()).unwrap();
            for (at, n) in [(0, 1.0_f64), (1, 10.0)] {
                let label = &file.meta().labels[at + 1];
                assert_eq!(label.classes, if text == "none" { 0 } else { 3 });
                assert_eq!(label.rule.is_empty(), text == "none", "{}", label.rule);
                for (i, row) in rows.iter().enumerate() {
                    let value = row.others[at].value.map(|half_steps| half_steps / 2.0);
                    let threshold = match text {
                        "none" => None,
                        "fixed=0.5" => Some(0.5),
                        "fixed=1.3" => Some(1.3),
                        "spread" => Some(f64::from((row.bin.last_ask - row.bin.last_bid).max(0))),
                        _ => past_volatility(&rows[..=i]).map(|volatility| {
                            let k = if text == "volatility" { 0.5 } else { 2.0 };
                            k * volatility * n.sqrt()
                        }),
                    };
                    let class = value.zip(threshold).map(|(x, t)| match x {
                        x if x < -t => 0,
                        x if x > t => 2,
                        _ => 1,
                    });
                    assert_eq!(
                        row.others[at].class, class,
                        "{text}, row {i}: {value:?} {threshold:?}"
                    );
                    class.into_iter().for_each(|class: i32| counts[class as usize] += 1);
                    // Edges, where there are any, say the same as the class.
                    let of_edges = || {
                        let value = row.others[at].value?;
                        Some(label.edges.iter().filter(|edge| **edge <= value).count() as i32)
                    };
                    assert!(label.edges.is_empty() || of_edges() == class);
                }
            }
        }
        assert!(text == "none" || counts.iter().all(|n| *n > 10), "{text}: {counts:?}");
    }
}

/// Root mean square of the changes of the mid among the last 101 rows of the segment, in steps.
fn past_volatility(rows: &[StoredBin]) -> Option<f64> {
    let now = rows.last()?.segment;
    let of: Vec<_> = rows.iter().filter(|row| row.segment == now).collect();
    let mids: Vec<_> = of[of.len().saturating_sub(101)..]
        .iter()
        .map(|row| {
            let bin = &row.bin;
            bin.has_mid().then(|| f64::from(bin.last_bid) / 2.0 + f64::from(bin.last_ask) / 2.0)
        })
        .collect();
    let squares: Vec<f64> =
        mids.windows(2).filter_map(|pair| Some((pair[1]? - pair[0]?).powi(2))).collect();
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    (squares.len() >= 10).then(|| mean.sqrt())
}

#[test]
fn words_that_make_no_sense_are_refused_by_name() {
    for text in ["", "0", "-1", "+1", "1.5", "5m", "u", "10 ", "1e3", "99999999999", "none"] {
        let refused = Horizon::from_str(text).unwrap_err().to_string();
        assert!(refused.contains("horizons") && refused.contains("`500u`"), "{text}: {refused}");
    }
    for (text, shown) in [("10", "10"), ("10b", "10"), ("500u", "500u"), ("5s", "5s")] {
        assert_eq!(Horizon::from_str(text).unwrap().to_string(), shown);
    }
    for text in [
        "",
        "fixed",
        "fixed=",
        "fixed=-1",
        "fixed=nan",
        "volatility=0",
        "volatility=inf",
        "fixed=1e300",
        "spread=2",
    ] {
        let refused = ForwardClasses::from_str(text).unwrap_err().to_string();
        assert!(refused.contains("forward-classes"), "{text}: {refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let input = market(folder.path(), "a.mbp-10.dbn", 500, 1, 1);
    let refuse = |classes, texts: &[&str]| {
        let mut config = small(folder.path().join("out"));
        (config.forward_classes, config.horizons) = (classes, horizons(texts));
        let refused = convert(std::slice::from_ref(&input), &config, &()).unwrap_err().to_string();
        assert!(refused.contains("forward-classes"), "{refused}");
    };
    refuse(ForwardClasses::Fixed(-1.0), &["1"]);
    refuse(ForwardClasses::Fixed(f64::NAN), &["1"]);
    refuse(ForwardClasses::Volatility(0.0), &["1"]);
    refuse(ForwardClasses::Volatility(1.0), &["1", "5s"]);
    assert_eq!(tree(&folder.path().join("out")), [""; 0]);
}

/// Jobs and threads change no byte, whatever the labels.
#[test]
fn the_same_bytes_whoever_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in");
    std::fs::create_dir(&inputs).unwrap();
    let config = |name: &str| ConvertConfig {
        horizons: horizons(&["3", "50u", "2s"]),
        forward_classes: ForwardClasses::Spread,
        ..small(folder.path().join(name))
    };
    let synth = lob_synth::SynthConfig {
        records: 12_000,
        instruments: 2,
        sessions: 3,
        ..Default::default()
    };
    lob_synth::write_sessions(&synth, &inputs).unwrap();
    let bytes = |config: &ConvertConfig| {
        convert(std::slice::from_ref(&inputs), config, &()).unwrap();
        let store = Store::open(&config.out).unwrap();
        let files = store.files().iter();
        files.map(|file| std::fs::read(file.path()).unwrap()).collect::<Vec<_>>()
    };
    let one = bytes(&ConvertConfig { read_ahead: false, ..config("one") });
    assert_eq!(one.len(), 6);
    assert!(one == bytes(&ConvertConfig { jobs: 3, ..config("three") }));
}
