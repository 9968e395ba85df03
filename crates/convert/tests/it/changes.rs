//! Inputs that change while they are read: fault 3 of the review.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use lob_convert::{
    ConvertConfig, ConvertError, InputSummary, Layout, Progress, RecordStream, convert,
    inspect_with, verify_with,
};

use crate::{market, small};

const RECORDS: u64 = 6_000;

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Other content of the same length, written into it.
    Overwritten,
    /// The same, and the modification time put back.
    OverwrittenInSecret,
    /// Whole records behind its end.
    Grown,
    /// A part of a record behind its end.
    GrownByAPart,
    Cut,
    /// Another file of the same length renamed over it.
    Replaced,
    Removed,
}

use Change::{Cut, Grown, GrownByAPart, Overwritten, OverwrittenInSecret, Removed, Replaced};

const ALL: [(Change, &str); 7] = [
    (Overwritten, "it was written to"),
    (OverwrittenInSecret, "the time of the change was put back"),
    (Grown, "it grew from"),
    (GrownByAPart, "it grew from"),
    (Cut, "it was cut from"),
    (Replaced, "another file is in its place"),
    (Removed, "it was removed"),
];

/// The modification time of the files before they change: long ago, since clocks tick slowly.
fn long_ago() -> SystemTime {
    SystemTime::now() - Duration::from_secs(86_400)
}

impl Change {
    fn make(self, path: &Path) {
        let before = fs::metadata(path).unwrap();
        let bytes = fs::read(path).unwrap();
        let open = || OpenOptions::new().write(true).open(path).unwrap();
        match self {
            Overwritten => overwrite(&open()),
            OverwrittenInSecret => {
                use std::os::unix::fs::MetadataExt;
                let change = |found: &fs::Metadata| (found.ctime(), found.ctime_nsec());
                // Until the clock of the file system has ticked.
                while change(&fs::metadata(path).unwrap()) == change(&before) {
                    overwrite(&open());
                    open().set_modified(before.modified().unwrap()).unwrap();
                }
            }
            Grown => append(path, &bytes[bytes.len() - 368 * 4..]),
            GrownByAPart => append(path, &bytes[bytes.len() - 100..]),
            Cut => open().set_len(bytes.len() as u64 - 368 * 4).unwrap(),
            Replaced => {
                let other = path.with_extension("other");
                fs::write(&other, &bytes).unwrap();
                File::open(&other).unwrap().set_modified(before.modified().unwrap()).unwrap();
                fs::rename(other, path).unwrap();
            }
            Removed => fs::remove_file(path).unwrap(),
        }
    }
}

/// Another byte at a place that was read before the change, whatever the compression.
fn overwrite(mut file: &File) {
    file.seek(SeekFrom::Start(8_000)).unwrap();
    file.write_all(&[7]).unwrap();
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn input(folder: &Path, name: &str) -> PathBuf {
    let path = market(folder, name, RECORDS, 1, 1);
    File::options().write(true).open(&path).unwrap().set_modified(long_ago()).unwrap();
    path
}

fn check(what: &str, error: &ConvertError, expected: &str) {
    assert!(matches!(error, ConvertError::Changed { .. }), "{what}: {error}");
    assert!(error.to_string().contains(expected), "{what}: {error}");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    for (change, expected) in ALL {
        for name in ["a.mbp-10.dbn", "a.mbp-10.dbn.zst", "a.mbo.dbn"] {
            for (ahead, hashed) in [(false, true), (true, true), (false, false)] {
                let folder = tempfile::tempdir().unwrap();
                let path = input(folder.path(), name);
                let open = if hashed { RecordStream::open } else { RecordStream::open_unhashed };
                let mut stream = open(&path).unwrap();
                if ahead {
                    stream = stream.read_ahead().unwrap();
                }
                for _ in 0..100 {
                    stream.next().unwrap().unwrap();
                }
                change.make(&path);
                let error = loop {
                    match stream.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => panic!("{change:?} of {name} was not noticed"),
                        Err(error) => break error,
                    }
                };
                // Without a hash there is nothing to hold the content against.
                let is_secret = change == OverwrittenInSecret && !hashed;
                let expected = if is_secret { "its inode did" } else { expected };
                check(&format!("{change:?} of {name}, {ahead}"), &error, expected);
            }
        }
    }
}

/// What leaves the content as it was is no reason to fail.
#[test]
fn links_and_permissions_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(folder.path(), "a.mbp-10.dbn");
    let mut stream = RecordStream::open(&path).unwrap();
    stream.next().unwrap().unwrap();
    fs::hard_link(&path, folder.path().join("b.mbp-10.dbn")).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.counts().records, RECORDS);
}

#[test]
fn the_second_pass_is_over_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(folder.path(), "a.mbp-10.dbn");
    let mut first = RecordStream::open_unhashed(&path).unwrap();
    while first.next().unwrap().is_some() {}
    let mut second = first.open_again(&|| false).unwrap();
    while second.next().unwrap().is_some() {}
    assert_eq!(first.counts(), second.counts());
    Overwritten.make(&path);
    check("second pass", &first.open_again(&|| false).unwrap_err(), "it was written to");
}

/// Changes a file at a certain call of a certain kind.
struct Hook {
    path: PathBuf,
    change: Change,
    when: When,
    calls: AtomicU32,
}

/// The call that a change comes with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// The start of an input, before it is opened.
    Started,
    /// The first report that records were read.
    Advanced,
    /// The question whether to stop, after so many of them.
    Polled(u32),
}

impl Hook {
    fn new(path: &Path, change: Change, when: When) -> Self {
        Self { path: path.to_owned(), change, when, calls: AtomicU32::new(0) }
    }

    fn called(&self, nth: u32) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == nth {
            self.change.make(&self.path);
        }
    }
}

impl Progress for Hook {
    fn input_started(&self, _: &Path, _: u64) {
        if self.when == When::Started {
            self.called(0);
        }
    }

    fn advanced(&self, _: &Path, _: u64, _: u64) {
        if self.when == When::Advanced {
            self.called(0);
        }
    }

    fn input_done(&self, input: &InputSummary) {
        panic!("{:?} was not noticed in {:?}", self.change, input.path);
    }

    fn is_cancelled(&self) -> bool {
        if let When::Polled(n) = self.when {
            self.called(n);
        }
        false
    }
}

#[test]
fn a_conversion_of_a_file_that_changes_leaves_nothing() {
    for (change, expected) in ALL {
        for (name, layout, read_ahead) in [
            ("a.mbp-10.dbn", Layout::Bins, true),
            ("a.mbp-10.dbn", Layout::Ticks, false),
            ("a.mbp-10.dbn.zst", Layout::Bins, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = input(folder.path(), name);
            let out = folder.path().join("out");
            let config = ConvertConfig { layout, read_ahead, ..small(out.clone()) };
            let hook = Hook::new(&path, change, When::Advanced);
            let error = convert(std::slice::from_ref(&path), &config, &hook).unwrap_err();
            check(&format!("{change:?} of {name}"), &error, expected);
            assert!(!out.exists(), "{change:?} of {name}");
        }
    }
}

/// Between the hash by which a journal is asked and the conversion.
#[test]
fn what_is_converted_is_what_the_journal_was_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(folder.path(), "a.mbp-10.dbn");
    let config = ConvertConfig { resume: true, ..small(folder.path().join("out")) };
    convert(std::slice::from_ref(&path), &config, &()).unwrap();
    // Of the length that the journal knows, so that the content decides.
    let bytes = fs::read(&path).unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(bytes.len() as u64 - 10)).unwrap();
    file.write_all(&[9]).unwrap();
    for (change, expected) in [
        (Overwritten, "since it was looked up in the journal"),
        (Grown, "bytes when it was found, now"),
    ] {
        let hook = Hook::new(&path, change, When::Started);
        let error = convert(std::slice::from_ref(&path), &config, &hook).unwrap_err();
        check(&format!("{change:?}"), &error, expected);
    }
}

#[test]
fn verification_and_inspection_are_of_one_file() {
    for (change, expected) in ALL {
        for name in ["a.mbp-10.dbn", "a.mbp-10.dbn.zst"] {
            // Before the first piece is hashed, and behind it.
            for polls in [0, 1] {
                if polls == 0 && change == OverwrittenInSecret {
                    // Nothing was read before: all of it is of the new content.
                    continue;
                }
                let folder = tempfile::tempdir().unwrap();
                let path = input(folder.path(), name);
                let error =
                    verify_with(&path, &Hook::new(&path, change, When::Polled(polls))).unwrap_err();
                check(&format!("{change:?} of {name} at {polls}"), &error, expected);
                let path = input(folder.path(), name);
                let error = inspect_with(&path, &Hook::new(&path, change, When::Polled(polls)))
                    .unwrap_err();
                check(&format!("{change:?} of {name} at {polls}"), &error, expected);
            }
        }
    }
}
