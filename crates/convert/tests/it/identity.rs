//! What an input is known by: its records, and not where it lies or what compressed it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dbn::Mbp10Msg;
use lob_convert::{
    ConvertConfig, ConvertError, ConvertSummary, DuplicateKind, Layout, PriceStepChoice,
    RecordStream, convert,
};
use lob_store::{Store, read_tick_meta};
use twox_hash::XxHash3_128;

use crate::{
    made::{DAY_1, SECOND_NS, books, books_from, updates},
    market, small, tree,
};

fn tiny(out: PathBuf) -> ConvertConfig {
    let mut config = small(out);
    (config.label.lookback, config.label.lookforward, config.label.offset) = (20, 20, 5);
    config
}

fn one(input: &Path, config: &ConvertConfig) -> ConvertSummary {
    convert(&[input.to_owned()], config, &()).unwrap()
}

fn rows(out: &Path) -> Vec<String> {
    tree(out).into_iter().filter(|name| name.ends_with(".parquet")).collect()
}

/// Every file of a tree with its bytes, journals included.
fn bytes(root: &Path) -> Vec<(String, Vec<u8>)> {
    let names = tree(root).into_iter().filter(|name| root.join(name).is_file());
    names.map(|name| (name.clone(), fs::read(root.join(&name)).unwrap())).collect()
}

/// The path from the working folder, whatever that is.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    Path::new(".").join(up).join(path.canonicalize().unwrap().strip_prefix("/").unwrap())
}

#[cfg(unix)]
#[test]
fn a_store_does_not_depend_on_how_a_path_was_spelt() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("secret-place");
    fs::create_dir_all(data.join("below")).unwrap();
    std::os::unix::fs::symlink(&data, folder.path().join("link")).unwrap();
    let input = books(&data, "day.dbn", &[], &updates(17, DAY_1, 200, 100));
    let spellings = [
        input.clone(),
        relative(&input),
        data.join("below/../day.dbn"),
        folder.path().join("link/day.dbn"),
        // Found in a folder, and by a pattern.
        data.clone(),
        data.join("d*.dbn"),
    ];
    for layout in [Layout::Bins, Layout::Ticks] {
        let mut first = None;
        for (n, spelling) in spellings.iter().enumerate() {
            let out = folder.path().join(format!("{layout:?}-{n}"));
            // Prices are no multiples of the step: a warning, which the journal keeps.
            let price_step = PriceStepChoice::Fixed(1_000_000_000);
            let config = ConvertConfig { layout, price_step, ..tiny(out.clone()) };
            let summary = one(spelling, &config);
            assert!(layout == Layout::Ticks || !summary.warnings.is_empty());
            let found = bytes(&out);
            assert!(found.len() == 2 && found[0].0 == ".loblab-journal.jsonl", "{:?}", tree(&out));
            for (name, content) in &found {
                let holds = |text: &str| content.windows(text.len()).any(|w| w == text.as_bytes());
                assert!(!holds("secret-place") && holds("day.dbn"), "{name} of {spelling:?}");
            }
            assert_eq!(first.get_or_insert(found.clone()), &found, "{}", spelling.display());
        }
    }
}

/// The fingerprint by another road: the decompressed file behind its header, at once.
#[test]
fn a_fingerprint_is_that_of_the_decompressed_records() {
    let folder = tempfile::tempdir().unwrap();
    for schema in ["mbp-10", "mbo"] {
        // Large enough that a thread reads ahead.
        let raw = market(folder.path(), &format!("day.{schema}.dbn"), 30_000, 2, 1);
        let packed = market(folder.path(), &format!("day.{schema}.dbn.zst"), 30_000, 2, 1);
        let content = fs::read(&raw).unwrap();
        let header = 8 + u32::from_le_bytes(content[4..8].try_into().unwrap()) as usize;
        let expected = format!("{:032x}", XxHash3_128::oneshot(&content[header..]));
        let mut names = Vec::new();
        for (n, (path, read_ahead)) in
            [(&raw, true), (&raw, false), (&packed, true), (&packed, false)].into_iter().enumerate()
        {
            let mut stream = RecordStream::open(path).unwrap();
            assert_eq!(stream.fingerprint(), None, "not before the end");
            while stream.next().unwrap().is_some() {}
            assert_eq!(stream.fingerprint().as_ref(), Some(&expected));

            let out = folder.path().join(format!("{schema}-{n}"));
            let summary = one(path, &ConvertConfig { read_ahead, ..small(out.clone()) });
            assert_eq!(summary.inputs[0].fingerprint.as_ref(), Some(&expected));
            assert!(summary.fingerprint_s > 0.0);
            let sources = &Store::open(&out).unwrap().files()[0].meta().sources.clone();
            assert_eq!((&sources[0].fingerprint, sources[0].records), (&expected, 30_000));
            assert_eq!(Some(&*sources[0].name), path.file_name().unwrap().to_str());
            let (first, last) = sources[0].span.unwrap();
            assert!(DAY_1 / 1_000 < first && first < last);
            names.push(rows(&out));
        }
        assert!(
            names.iter().all(|n| *n == names[0] && n[0].contains(&expected[..12])),
            "{names:?}"
        );
    }
    let out = folder.path().join("ticks");
    let input = folder.path().join("day.mbo.dbn");
    one(&input, &ConvertConfig { layout: Layout::Ticks, ..small(out.clone()) });
    let meta = read_tick_meta(out.join(&rows(&out)[0])).unwrap().unwrap();
    assert!(meta.sources[0].fingerprint.len() == 32 && meta.sources[0].span.is_some());
    assert_eq!(meta.sources[0].name, "day.mbo.dbn");
}

/// A source has moved: its new delivery replaces the old one, as it does in place.
#[test]
fn a_delivery_replaces_the_one_before_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let write = |at: &str, steps| {
        fs::create_dir_all(folder.path().join(at)).unwrap();
        books(&folder.path().join(at), "day.dbn", &[], &updates(17, DAY_1, 300, steps))
    };
    for resume in [false, true] {
        let out = folder.path().join(format!("out-{resume}"));
        let config = ConvertConfig { resume, ..tiny(out) };
        one(&write("old", 100), &config);
        let before = rows(&config.out);
        let summary = one(&write("new", 200), &config);
        let said = summary.warnings.iter().filter(|w| w.contains("has changed since")).count();
        assert_eq!((said, rows(&config.out).len(), summary.duplicates.len()), (1, 1, 0));
        assert_ne!(rows(&config.out), before);
    }
}

/// Nothing of another source goes, though its file has the same name.
#[test]
fn files_of_one_name_in_two_folders_are_two_sources_where_they_hold_different_things() {
    let folder = tempfile::tempdir().unwrap();
    let write = |at: &str, start, records: &[Mbp10Msg]| {
        fs::create_dir_all(folder.path().join(at)).unwrap();
        books_from(&folder.path().join(at), "day.dbn", start, records)
    };
    let hour = 3_600 * SECOND_NS;
    let first = write("a", DAY_1, &updates(17, DAY_1, 300, 100));
    for (case, other) in [
        // Other instruments, another day, another hour of the same day.
        write("b", DAY_1, &updates(18, DAY_1, 300, 100)),
        write("c", DAY_1, &updates(17, DAY_1 + 24 * hour, 300, 100)),
        write("d", DAY_1 + hour, &updates(17, DAY_1 + hour, 300, 100)),
    ]
    .into_iter()
    .enumerate()
    {
        for resume in [false, true] {
            let out = folder.path().join(format!("out-{case}-{resume}"));
            let config = ConvertConfig { resume, ..tiny(out) };
            one(&first, &config);
            for input in [&other, &first, &other] {
                let summary = one(input, &config);
                assert_eq!(rows(&config.out).len(), 2, "case {case}, resume {resume}");
                let said = summary.warnings.iter().any(|w| w.contains("is removed"));
                assert!(!said, "{:?}", summary.warnings);
            }
        }
    }
}

/// Two inputs of a run that look like deliveries of one source are none of each other.
#[test]
fn what_was_kept_beside_its_like_stays() {
    let folder = tempfile::tempdir().unwrap();
    let write = |at: &str, steps| {
        fs::create_dir_all(folder.path().join(at)).unwrap();
        books(&folder.path().join(at), "day.dbn", &[], &updates(17, DAY_1, 300, steps))
    };
    let paths = [write("a", 100), write("b", 200)];
    let doubtful = tiny(folder.path().join("doubt"));
    let error = convert(&paths, &doubtful, &()).unwrap_err();
    assert!(matches!(error, ConvertError::SameMarket { .. }), "{error}");
    for resume in [false, true] {
        let out = folder.path().join(format!("out-{resume}"));
        let config = ConvertConfig { resume, keep_duplicates: true, ..tiny(out) };
        for _ in 0..2 {
            convert(&paths, &config, &()).unwrap();
            assert_eq!(rows(&config.out).len(), 2);
        }
        if resume {
            one(&paths[0], &config);
            one(&paths[1], &config);
            assert_eq!(rows(&config.out).len(), 2, "nothing was delivered");
        }
    }
}

/// The store does not say where its inputs lie: they are looked for beside those of the run.
#[test]
fn what_the_store_holds_is_found_in_the_folders_beside() {
    let folder = tempfile::tempdir().unwrap();
    let write = |at: &str, name: &str, records: &[Mbp10Msg]| {
        fs::create_dir_all(folder.path().join(at)).unwrap();
        books(&folder.path().join(at), name, &[], records)
    };
    let all = updates(17, DAY_1, 400, 100);
    let config = tiny(folder.path().join("out"));
    one(&write("data/first", "day.dbn", &all), &config);
    let part = write("data/second", "part.dbn", &all[100..200]);
    let summary = one(&part, &config);
    assert_eq!(summary.duplicates[0].why, DuplicateKind::Part);
    assert!(summary.duplicates[0].of.ends_with("first/day.dbn"), "{:?}", summary.duplicates);

    // Too far to be found: a copy is known by its fingerprint, a part is in doubt.
    fs::create_dir_all(folder.path().join("far/away")).unwrap();
    let part = write("far/away", "part.dbn", &all[100..200]);
    let error = convert(&[part], &config, &()).unwrap_err().to_string();
    assert!(error.contains("is in the store") && error.contains("name it among them"), "{error}");
    let copy = write("far/away", "copy.dbn", &all);
    assert_eq!(one(&copy, &config).duplicates[0].why, DuplicateKind::Copy);
    // However it is compressed.
    let packed = folder.path().join("far/away/packed.dbn.zst");
    fs::write(&packed, zstd::encode_all(&*fs::read(&copy).unwrap(), 1).unwrap()).unwrap();
    fs::remove_file(&copy).unwrap();
    let summary = one(&packed, &config);
    assert_eq!(summary.duplicates[0].why, DuplicateKind::Copy);
    assert!(summary.duplicates[0].in_store && rows(&config.out).len() == 1);
}
