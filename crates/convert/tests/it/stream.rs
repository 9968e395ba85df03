//! Reading updates.

use std::io::Write;

use lob_convert::{BookSchema, ConvertError, RecordStream};

use crate::market;

fn read_all(path: &std::path::Path) -> Result<(u64, u64, String), ConvertError> {
    let mut stream = RecordStream::open(path)?;
    while stream.next()?.is_some() {}
    assert!(stream.next()?.is_none(), "the end stays the end");
    let counts = stream.counts();
    Ok((counts.records, counts.updates, stream.sha256().unwrap()))
}

#[test]
fn raw_and_compressed_files_give_the_same_updates() {
    let folder = tempfile::tempdir().unwrap();
    let raw = market(folder.path(), "a.mbp-10.dbn", 3_000, 2, 2);
    let bytes = std::fs::read(&raw).unwrap();
    // Names do not matter, and frames may be cut anywhere.
    let many = folder.path().join("frames.bin");
    let mut file = std::fs::File::create(&many).unwrap();
    for piece in bytes.chunks(100_001) {
        file.write_all(&zstd::encode_all(piece, 1).unwrap()).unwrap();
    }
    let mut raw_stream = RecordStream::open(&raw).unwrap();
    let mut zst_stream = RecordStream::open(&many).unwrap();
    let mut n = 0;
    while let Some(update) = raw_stream.next().unwrap() {
        assert_eq!(Some(update), zst_stream.next().unwrap());
        n += 1;
    }
    assert_eq!(n, 3_000);
    assert!(zst_stream.next().unwrap().is_none());
    assert_eq!(raw_stream.counts().decoded_bytes, bytes.len() as u64);
    assert_eq!(raw_stream.counts(), zst_stream.counts());
    assert_eq!(raw_stream.file_bytes(), bytes.len() as u64);
    assert_ne!(raw_stream.sha256(), zst_stream.sha256());
    assert_eq!(raw_stream.schema(), Some(BookSchema::Mbp10));
}

#[test]
fn reading_ahead_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.mbp-10.dbn.zst", "b.mbp-10.dbn", "c.mbo.dbn.zst"] {
        // Several pieces, and a rest.
        let path = market(folder.path(), name, 3_000, 2, 1);
        let mut here = RecordStream::open(&path).unwrap();
        let mut ahead = RecordStream::open(&path).unwrap().read_ahead().unwrap();
        loop {
            let update = here.next().unwrap();
            assert_eq!(update, ahead.next().unwrap());
            if update.is_none() {
                break;
            }
        }
        assert_eq!(here.counts(), ahead.counts());
        assert_eq!((here.sha256(), here.file_bytes()), (ahead.sha256(), ahead.file_bytes()));
        assert!(here.sha256().is_some());
        // A stream that is given up ends its thread.
        let mut early = RecordStream::open(&path).unwrap().read_ahead().unwrap();
        assert!(early.next().unwrap().is_some());
        drop(early);
        // The same errors, at the same places.
        let bytes = std::fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        let at = bytes.len() * 2 / 3;
        damaged[at..at + 40].fill(0xFF);
        let bad = folder.path().join("bad");
        std::fs::write(&bad, damaged).unwrap();
        let end = |mut stream: RecordStream| loop {
            match stream.next() {
                Ok(Some(_)) => {}
                Ok(None) => return (stream.counts().clone(), String::new()),
                Err(error) => return (stream.counts().clone(), error.to_string()),
            }
        };
        let Ok(here) = RecordStream::open(&bad) else { continue };
        let ahead = RecordStream::open(&bad).unwrap().read_ahead().unwrap();
        let (here, ahead) = (end(here), end(ahead));
        assert_eq!(here.0, ahead.0, "{name}");
        assert_eq!(here.1.is_empty(), ahead.1.is_empty(), "{name}: {} {}", here.1, ahead.1);
    }
}

#[test]
fn orders_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = market(folder.path(), "a.mbo.dbn.zst", 5_000, 1, 1);
    let (records, updates, _) = read_all(&path).unwrap();
    assert_eq!(records, 5_000);
    assert!(updates > 1_000 && updates < records, "{updates} updates");
}

#[test]
fn symbols_are_those_of_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = market(folder.path(), "a.mbp-10.dbn.zst", 1_000, 2, 1);
    let mut stream = RecordStream::open(&path).unwrap();
    let (id, ts) = {
        let update = stream.next().unwrap().unwrap();
        (update.hd.instrument_id, update.ts_recv)
    };
    assert!(["6AM4", "ESM4"].contains(&stream.symbol(id, ts).unwrap()));
    assert_eq!(stream.symbol(id + 1_000_000, ts), None);
    assert_eq!(stream.symbol(id, 0), None);
    assert!(stream.sha256().is_none(), "not before the end");
}

#[test]
fn other_schemas_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = market(folder.path(), "a.mbp-10.dbn", 10, 1, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    // The schema stands behind prelude and dataset; 1 is mbp-1.
    bytes[8 + 16..8 + 18].copy_from_slice(&1_u16.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = RecordStream::open(&path).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ConvertError::Schema { .. }), "{text}");
    assert!(text.contains("`mbp-1`") && text.contains("`mbp-10`"), "{text}");
}

#[test]
fn a_header_without_schema_takes_that_of_the_first_book_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = market(folder.path(), "a.mbp-10.dbn", 10, 1, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8 + 16..8 + 18].copy_from_slice(&u16::MAX.to_le_bytes());
    // A heartbeat between two records.
    let mut heartbeat = vec![0_u8; 320];
    (heartbeat[0], heartbeat[1]) = (80, 0x17);
    let at = bytes.len() - 368;
    bytes.splice(at..at, heartbeat);
    std::fs::write(&path, &bytes).unwrap();
    let mut stream = RecordStream::open(&path).unwrap();
    assert_eq!(stream.schema(), None);
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.schema(), Some(BookSchema::Mbp10));
    assert_eq!((stream.counts().records, stream.counts().updates), (11, 10));
    assert_eq!(stream.counts().skipped["rtype_system"], 1);
}

mod damage {
    //! Whatever happens to a file, reading it ends, without a panic and without a wrong clean end.

    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static RAW: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::read(market(folder.path(), "a.mbp-10.dbn", 300, 2, 1)).unwrap()
    });
    static ZST: LazyLock<Vec<u8>> = LazyLock::new(|| zstd::encode_all(&RAW[..], 3).unwrap());

    fn read(bytes: &[u8]) -> Result<u64, ConvertError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged");
        std::fs::write(&path, bytes).unwrap();
        // The report must come to an end too.
        lob_convert::verify(&path).unwrap();
        read_all(&path).map(|(records, ..)| records)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_cut_frame_never_ends_cleanly(cut in 0.0..1.0_f64) {
            let length = (cut * ZST.len() as f64) as usize;
            prop_assert!(read(&ZST[..length]).is_err());
        }

        #[test]
        fn a_cut_raw_file_ends_cleanly_at_record_ends_only(cut in 0.0..1.0_f64) {
            let length = (cut * RAW.len() as f64) as usize;
            let header = RAW.len() - 300 * 368;
            match read(&RAW[..length]) {
                Ok(records) => prop_assert_eq!(length, header + records as usize * 368),
                Err(_) => prop_assert!(length < header || !(length - header).is_multiple_of(368)),
            }
        }

        #[test]
        fn flipped_bytes_do_no_harm(
            flips in prop::collection::vec((0.0..1.0_f64, 1_u8..), 1..6),
            is_compressed: bool,
        ) {
            let mut bytes = if is_compressed { ZST.clone() } else { RAW.clone() };
            for (at, mask) in flips {
                let at = (at * bytes.len() as f64) as usize;
                bytes[at] ^= mask;
            }
            if let Ok(records) = read(&bytes) {
                prop_assert!(records <= 300);
            }
        }
    }
}
