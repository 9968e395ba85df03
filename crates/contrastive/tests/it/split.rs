//! Windows cut in time once, and found again by the model that was trained on them.

use std::path::{Path, PathBuf};

use lob_contrastive::{
    Choice, ContrastiveError, Cutting, Device, Embedder, EncoderConfig, Head, HeadLabel, InputSpec,
    LiveModel, LiveWindow, ModelFile, Origin, Positives, PrepareOptions, Prepared, Seen, TimeRange,
    TrainConfig, open_store, prepare, train,
};
use lob_fixtures::stores::{self, BIN_NS, START_NS};

const BINS: InputSpec = InputSpec::Bins { window: 16, stride: 4 };

fn images() -> InputSpec {
    let features = vec!["volume".to_owned()];
    InputSpec::Images { window: 16, stride: 4, row_pool: 67, bin_pool: 4, features }
}

/// A store of one file of 400 bins, `shift` bins later than the usual one.
fn store(folder: &Path, shift: u64) -> PathBuf {
    let path = folder.join(format!("store-{shift}/bins.parquet"));
    stores::file_with(&path, &[400], 5, |_, bin| {
        bin.ts_event_first += shift * BIN_NS;
        bin.ts_event_last += shift * BIN_NS;
        bin.ts_recv_last += shift * BIN_NS;
    });
    path.parent().unwrap().to_owned()
}

fn cut(input: &InputSpec, store: &Path, cutting: Cutting) -> Result<Prepared, ContrastiveError> {
    let options = PrepareOptions { cutting, ..PrepareOptions::new(Positives::Same) };
    prepare(input, Some(store), &options)
}

fn parts(prepared: &Prepared) -> [Vec<Origin>; 3] {
    let split = &prepared.split;
    [&split.train, &split.validation, &split.test]
        .map(|part| part.iter().map(|&idx| prepared.origins[idx]).collect())
}

#[test]
fn at_the_cuts_of_training_the_windows_are_those_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0);
    for input in [BINS, images()] {
        let trained = cut(&input, &store, Cutting::Shares).unwrap();
        let again = cut(&input, &store, Cutting::At(trained.cuts.unwrap())).unwrap();
        assert_eq!((&again.split, &again.origins), (&trained.split, &trained.origins));
        assert_eq!((again.cuts, again.trained), (trained.cuts, trained.trained));
        assert!(parts(&again).iter().all(|part| !part.is_empty()), "{again:?}");
        let facts = again.facts.unwrap();
        assert_eq!((facts.symbols, facts.days), (vec!["ESZ3".into()], vec!["2023-11-14".into()]));
    }
}

/// Held against the times alone: what is trained on ends before the cut, the other parts begin an
/// embargo after theirs.
#[test]
fn no_part_reaches_over_a_cut_or_into_an_embargo() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0);
    for until in [60, 100, 173, 250, 310] {
        let moment = START_NS + until * BIN_NS;
        for input in [BINS, images()] {
            let prepared = cut(&input, &store, Cutting::Until(moment)).unwrap();
            let cuts = prepared.cuts.unwrap();
            assert_eq!(cuts.validation_from, moment);
            // A third of the bins that follow are for validation.
            let expected = until + (400 - until + 1) / 3;
            let test = (cuts.test_from - START_NS) / BIN_NS;
            assert!(test.abs_diff(expected) <= 1, "{test} {expected}");
            let [train, validation, test] = parts(&prepared);
            let reach = |o: &Origin| (o.ts_first.unwrap(), o.ts_event.unwrap());
            assert!(train.iter().map(reach).all(|(_, last)| last < moment));
            // The first bin whose last update is not before the cut, and 16 bins.
            let after = |cut: u64| cut + 15 * BIN_NS;
            assert!(!train.is_empty() && !test.is_empty());
            for (first, last) in validation.iter().map(reach) {
                assert!(first >= after(moment) && last < cuts.test_from, "{until} {first}");
            }
            assert!(test.iter().map(reach).all(|(first, _)| first >= after(cuts.test_from)));
            let range = TimeRange::of_windows(&train).unwrap();
            assert_eq!(prepared.trained, Some(range));
        }
    }
    for (until, part) in [(0, "training"), (401, "validation and the test")] {
        let error = cut(&BINS, &store, Cutting::Until(START_NS + until * BIN_NS)).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&format!("the {part} part is empty: ")), "{said}");
        assert!(said.contains("2023-11-14T22:13:20"), "{said}");
    }
}

#[test]
fn marked_windows_are_all_windows_and_whole_stores_have_no_parts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0);
    for input in [BINS, images()] {
        let trained = cut(&input, &store, Cutting::Shares).unwrap();
        let marked = cut(&input, &store, Cutting::Marked(trained.cuts.unwrap())).unwrap();
        let whole = cut(&input, &store, Cutting::Whole).unwrap();
        // (400 - 16) / 4 + 1 windows, whatever is cut.
        assert_eq!((marked.origins.len(), whole.origins.len()), (97, 97));
        assert_eq!(marked.origins, whole.origins);
        assert!(whole.tasks.is_empty() && whole.split.test.is_empty() && whole.cuts.is_none());
        let listed: usize = parts(&marked).iter().map(Vec::len).sum();
        assert!(listed < 97 && listed > 60, "{listed}");
        // A part has no window that training would not have let into it.
        let cuts = trained.cuts.unwrap();
        let [train, validation, test] = parts(&marked);
        assert!(train.iter().all(|o| o.ts_event.unwrap() < cuts.validation_from));
        assert!(validation.iter().all(|o| o.ts_first.unwrap() > cuts.validation_from));
        assert!(test.iter().all(|o| o.ts_first.unwrap() > cuts.test_from));
        assert!(whole.train.is_empty() && whole.validation.is_none());
    }
}

#[test]
fn what_a_model_has_seen_of_a_store_is_told_by_data_instrument_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = |shift: u64| open_store(&store(folder.path(), shift), &Choice::ALL).unwrap();
    let first = cut(&BINS, &store(folder.path(), 0), Cutting::Shares).unwrap();
    let (symbols, trained) = (first.facts.unwrap().symbols, first.trained);
    let seen = |shift: u64, symbols: &[String], trained: Option<TimeRange>| {
        Seen::of(&at(shift), first.data, &Choice::ALL, symbols, trained)
    };
    assert_eq!(seen(0, &symbols, trained), Seen::Same);
    // Bins 0 to 279 train: a store that begins with bin 200 has some of them, one of bin 300 none.
    assert!(matches!(seen(200, &symbols, trained), Seen::Partly { .. }));
    assert!(matches!(seen(300, &symbols, trained), Seen::Later { .. }));
    assert_eq!(seen(200, &["NQZ3".to_owned()], trained), Seen::Others);
    assert_eq!(seen(200, &symbols, None), Seen::Unknown);
}

#[test]
fn symbols_and_days_choose_files_and_what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 0);
    let choice = |symbols: &[&str], days: Option<(&str, &str)>| Choice {
        symbols: symbols.iter().map(|&s| s.to_owned()).collect(),
        days: days.map(|(a, b)| (a.to_owned(), b.to_owned())),
    };
    for symbols in [&["ESZ3"][..], &["1"], &["ESZ3@1"], &[]] {
        let days = Some(("2023-11-14", "2023-11-14"));
        assert_eq!(open_store(&store, &choice(symbols, days)).unwrap().files().len(), 1);
    }
    for (symbols, days, part) in [
        (&["NQZ3"][..], None, "has not the symbol `NQZ3`; it has ESZ3"),
        (&["ESZ3@2"], None, "has not the symbol `ESZ3@2`; it has ESZ3"),
        (&["ESZ3"], Some(("2023-11-15", "2023-12-01")), "it has 2023-11-14"),
        (&[], Some(("0000-01-01", "2023-11-13")), "it has 2023-11-14"),
    ] {
        let said = open_store(&store, &choice(symbols, days)).unwrap_err().to_string();
        assert!(said.contains(part) && said.contains("store-0"), "{said}");
    }
}

/// Bins that come one by one have the windows, and so the probabilities, of a store that is cut.
#[test]
fn live_bins_give_the_probabilities_of_stored_windows() {
    let folder = tempfile::tempdir().unwrap();
    let path = store(folder.path(), 0);
    let prepared = cut(&BINS, &path, Cutting::Whole).unwrap();
    let cuts = cut(&BINS, &path, Cutting::Shares).unwrap();
    let config = TrainConfig {
        steps: 3,
        batch_size: 8,
        encoder: EncoderConfig { hidden: vec![8], embedding_dim: 4, ..EncoderConfig::simple() },
        device: Device::Cpu,
        ..TrainConfig::default()
    };
    let model = train(cuts.train.clone(), &config).unwrap().model;
    let label = HeadLabel::of(&path, &Choice::ALL, &cuts, None).unwrap();
    assert_eq!((label.name.as_str(), label.horizon_bins), ("forward_10", 10));
    let mut embedder = Embedder::new(&model, Device::Cpu).unwrap();
    let head = Head::fit(&mut embedder, &cuts, &label).unwrap();
    assert_eq!((head.facts.n_train, head.facts.classes.len()), (cuts.split.train.len(), 3));
    // The whole store has other scales than its training part: the model's are taken.
    let options = PrepareOptions {
        scale: Some(cuts.scale.clone()),
        cutting: Cutting::Whole,
        ..PrepareOptions::new(Positives::Same)
    };
    let whole = prepare(&BINS, Some(&path), &options).unwrap();
    assert_eq!(whole.origins, prepared.origins);
    let file = ModelFile {
        model,
        input: BINS,
        positives: Positives::Same,
        scale: cuts.scale.clone(),
        seed: 0,
        steps: 3,
        data: cuts.data,
        training: None,
        head: Some(head.clone()),
    };
    let saved = folder.path().join("m.safetensors");
    file.save(&saved).unwrap();
    let mut live = LiveModel::new(&ModelFile::load(&saved).unwrap(), Device::Cpu).unwrap();
    let (mut window, mut windows, mut ends) = (LiveWindow::new(16), Vec::new(), Vec::new());
    let opened = open_store(&path, &Choice::ALL).unwrap();
    let bins = &opened.files()[0];
    let mut columns = lob_depth::BinColumns::default();
    bins.read(0..bins.len(), &mut columns).unwrap();
    let labels = bins.labels(0..bins.len()).unwrap();
    for i in 0..columns.len() {
        window.push(&columns, i, labels.segment[i], labels.ts_event[i]);
        if window.append(live.scale(), &mut windows) {
            ends.push(i as u64);
        }
    }
    assert_eq!(ends, (15..400).collect::<Vec<u64>>());
    let found = live.probabilities(&windows).unwrap();
    let mut input = vec![0.0; 16 * 12];
    for (idx, origin) in whole.origins.iter().enumerate() {
        whole.whole.window(idx, &mut Default::default(), &mut input).unwrap();
        let (mut embedding, mut expected) = ([0.0; 4], [0.0; 3]);
        embedder.embed_into(&input, &mut embedding).unwrap();
        head.probabilities(&embedding, &mut expected);
        let at = usize::try_from(origin.row).unwrap();
        let found = &found[3 * at..][..3];
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}");
    }
}
