//! Small files that ask for much: work and memory follow the bytes that are there.

use std::{
    fs,
    io::Write,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use lob_convert::{
    ConvertError, DefectKind, Progress, RecordStream, convert, inspect_with, verify, verify_with,
};

use crate::{market, small};

const RECORD_BYTES: usize = 368;

/// Counts how often it is asked, and says stop from a certain time on.
struct Polls {
    asked: AtomicU64,
    stop_at: u64,
}

impl Polls {
    fn until(stop_at: u64) -> Self {
        Self { asked: AtomicU64::new(0), stop_at }
    }
}

impl Progress for Polls {
    fn is_cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) >= self.stop_at
    }
}

/// A file as one frame: `head`, then `zeros` zero bytes, then `tail`.
fn packed(path: &Path, head: &[u8], zeros: usize, tail: &[u8]) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = zstd::stream::write::Encoder::new(file, 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(head).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), zeros as u64), &mut encoder)
        .unwrap();
    encoder.write_all(tail).unwrap();
    encoder.finish().unwrap();
}

/// Fault 15 of the review: a run of zeros is one defect, is passed over by comparing bytes, and a
/// signal is heard in it.
#[test]
fn zeros_between_records_are_one_defect_and_a_signal_is_heard_in_them() {
    const ZEROS: usize = 16 << 20;
    let folder = tempfile::tempdir().unwrap();
    let raw = fs::read(market(folder.path(), "a.mbp-10.dbn", 2_000, 1, 1)).unwrap();
    let middle = raw.len() - 1_000 * RECORD_BYTES;
    let path = folder.path().join("zeros.dbn.zst");
    packed(&path, &raw[..middle], ZEROS, &raw[middle..]);
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    let all = Polls::until(u64::MAX);
    let report = verify_with(&path, &all).unwrap();
    assert_eq!(report.records, 2_000, "{:?}", report.defects);
    let [defect] = &report.defects[..] else { panic!("{:?}", report.defects) };
    assert_eq!((defect.kind, defect.record_index), (DefectKind::RecordLength, Some(1_000)));
    assert!(defect.message.contains(&format!("on {ZEROS} bytes further")), "{}", defect.message);
    // Asked for every piece that is read: some 256 kB.
    let asked = all.asked.into_inner();
    let pieces = (ZEROS >> 18) as u64;
    assert!((pieces / 2..pieces * 8).contains(&asked), "asked {asked} times");
    for stop_at in [0, 1, 5, asked / 2] {
        let stopped = Polls::until(stop_at);
        let error = verify_with(&path, &stopped).unwrap_err();
        assert!(matches!(error, ConvertError::Interrupted), "{error}");
        assert_eq!(stopped.asked.into_inner(), stop_at + 1, "nothing goes on behind it");
        let error = inspect_with(&path, &Polls::until(stop_at)).unwrap_err();
        assert!(matches!(error, ConvertError::Interrupted), "{error}");
    }
    // To the end of the file.
    packed(&path, &raw[..middle], ZEROS, &[]);
    let report = verify(&path).unwrap();
    assert_eq!((report.records, report.defects.len()), (1_000, 1), "{:?}", report.defects);
    let message = &report.defects[0].message;
    assert!(message.contains(&format!("in the {ZEROS} bytes to the end")), "{message}");
    assert!(RecordStream::open(&path).unwrap().next().is_ok());
}

/// Records that make no update, as many as a file may hold: a conversion hears a signal among them.
#[test]
fn a_signal_is_heard_where_no_update_comes() {
    const STATUS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let raw = fs::read(market(folder.path(), "a.mbp-10.dbn", 10, 1, 1)).unwrap();
    let mut status = [0; 40];
    (status[0], status[1]) = (10, 0x12);
    let path = folder.path().join("status.mbp-10.dbn");
    fs::write(&path, [raw, status.repeat(STATUS)].concat()).unwrap();
    let config = || small(folder.path().join("out"));
    let all = Polls::until(u64::MAX);
    let records = match convert(std::slice::from_ref(&path), &config(), &all) {
        Ok(summary) => summary.records,
        Err(ConvertError::NoBins { records, .. }) => records,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(records, 10 + STATUS as u64);
    let asked = all.asked.into_inner();
    let pieces = (STATUS * 40) as u64 >> 18;
    assert!((pieces..pieces * 4).contains(&asked), "asked {asked} times for {pieces} pieces");
    for stop_at in [3, pieces / 2, pieces] {
        let stopped = Polls::until(stop_at);
        let error = convert(std::slice::from_ref(&path), &config(), &stopped).unwrap_err();
        assert!(matches!(error, ConvertError::Interrupted), "{error}");
        let mut stream = RecordStream::open(&path).unwrap();
        for _ in 0..10 {
            stream.next().unwrap().unwrap();
        }
        let error = stream.next_unless_stopped(&Polls::until(stop_at - 2)).unwrap_err();
        assert!(matches!(error, ConvertError::Interrupted), "{error}");
    }
}

/// The head of a version 3 file whose metadata has `length` bytes and whose symbols have `symbol`.
fn header(length: u32, symbol: u16) -> Vec<u8> {
    let mut head = b"DBN\x03".to_vec();
    head.extend(length.to_le_bytes());
    head.extend(b"GLBX.MDP3\0\0\0\0\0\0\0");
    // No schema; start, end and limit; any symbols by instrument ids, without send times.
    head.extend([0xFF; 2]);
    head.extend([0; 24]);
    head.extend([0xFF, 0, 0]);
    head.extend(symbol.to_le_bytes());
    head
}

fn open_error(path: &Path) -> ConvertError {
    let error = RecordStream::open(path).unwrap_err();
    let report = verify(path).unwrap();
    assert!(!report.is_sound() && report.records == 0, "{:?}", report.defects);
    assert!(inspect_with(path, &()).is_err());
    error
}

/// Fault 14 of the review: 31 kB made 0.85 GB. What a header may take follows the length of its
/// file, and is compared before anything is read or made room for.
#[test]
fn metadata_is_held_against_the_length_of_the_file() {
    const MIB: u32 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dbn.zst");
    for length in [256 * MIB, 64 * MIB, 9 * MIB] {
        packed(&path, &header(length, 71), 1 << 16, &[]);
        let most = (8 << 20) + 64 * fs::metadata(&path).unwrap().len();
        let error = open_error(&path);
        assert!(
            matches!(error, ConvertError::MetadataLength { most: found, .. } if found == most),
            "{length}: {error}"
        );
        assert!(error.to_string().contains("\nhint: if the file is right, decompress"), "{error}");
    }
    // Uncompressed, it must be there.
    let path = folder.path().join("b.dbn");
    fs::write(&path, header(256 * MIB, 71)).unwrap();
    let error = open_error(&path);
    assert!(matches!(error, ConvertError::Truncated { byte_offset: 55, .. }), "{error}");
    fs::write(&path, header(u32::MAX, 71)).unwrap();
    assert!(matches!(open_error(&path), ConvertError::Truncated { .. }));
    // Symbols of no length make room for any number of them.
    for symbol in [0, 1, 21] {
        let mut raw = header(1_000, symbol);
        raw.resize(1_008, 0);
        fs::write(&path, raw).unwrap();
        let error = open_error(&path).to_string();
        assert!(error.contains(&format!("symbols of {symbol} bytes, expected 71")), "{error}");
    }
}

/// The most that a file of 1 MB can hold as header: a table of symbols. Nothing beyond its bytes is
/// read or kept.
#[test]
fn the_largest_header_of_one_megabyte_costs_its_bytes() {
    const SYMBOLS: u32 = 14_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dbn");
    let length = 47 + 53 + 4 + 4 + SYMBOLS * 71 + 12;
    let mut raw = header(length, 71);
    raw.resize(raw.len() + 53 + 4, 0);
    raw.extend(SYMBOLS.to_le_bytes());
    for n in 0..SYMBOLS {
        let mut symbol = format!("S{n}").into_bytes();
        symbol.resize(71, 0);
        raw.extend(symbol);
    }
    raw.resize(8 + length as usize, 0);
    assert!(raw.len() < 1 << 20);
    fs::write(&path, &raw).unwrap();
    let stream = RecordStream::open(&path).unwrap();
    assert_eq!(stream.metadata().symbols.len(), SYMBOLS as usize);
    assert_eq!(stream.counts().decoded_bytes, raw.len() as u64);
    let polls = Polls::until(u64::MAX);
    verify_with(&path, &polls).unwrap();
    assert!(polls.asked.into_inner() < 20);
}

/// A frame that asks for a window of 256 MiB is read; one that asks for more is named, with what to
/// do, and is nowhere called damaged.
#[test]
fn windows_are_given_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let raw = fs::read(market(folder.path(), "a.mbp-10.dbn", 500, 1, 1)).unwrap();
    let path = folder.path().join("long.mbp-10.dbn.zst");
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&raw).unwrap();
    let mut bytes = encoder.finish().unwrap();
    fs::write(&path, &bytes).unwrap();
    let mut stream = RecordStream::open(&path).unwrap();
    while stream.next().unwrap().is_some() {}
    let report = verify(&path).unwrap();
    assert!(report.is_sound() && report.defects.is_empty(), "{:?}", report.defects);
    assert_eq!((stream.counts().records, report.records), (500, 500));
    // The descriptor of the window stands behind magic number and frame descriptor.
    assert_eq!(bytes[5], 18 << 3);
    for log in [29, 30, 31] {
        bytes[5] = (log - 10) << 3;
        fs::write(&path, &bytes).unwrap();
        for error in [
            RecordStream::open(&path).unwrap_err(),
            verify(&path).unwrap_err(),
            inspect_with(&path, &()).unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(matches!(error, ConvertError::Window { byte_offset: 0, .. }), "{said}");
            let needs = format!("needs a window of {} MiB, at most 256 MiB", 1 << (log - 20));
            assert!(said.contains(&format!("--long={log}")) && said.contains(&needs), "{said}");
            assert!(said.contains("hint: compress it again"), "{said}");
        }
    }
    // A descriptor that no compressor writes is damage.
    bytes[5] = 0xFF;
    fs::write(&path, &bytes).unwrap();
    let report = verify(&path).unwrap();
    assert_eq!(report.defects[0].kind, DefectKind::FrameDamaged, "{:?}", report.defects);
}

#[test]
fn a_skippable_frame_is_no_defect_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let zst = fs::read(market(folder.path(), "a.mbp-10.dbn.zst", 500, 1, 1)).unwrap();
    let skippable = [0x5E, 0x2A, 0x4D, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5];
    let path = folder.path().join("skip.dbn.zst");
    for bytes in [
        [&skippable[..], &zst].concat(),
        [&zst[..], &skippable].concat(),
        [&skippable[..], &skippable, &zst, &skippable].concat(),
    ] {
        fs::write(&path, bytes).unwrap();
        let report = verify(&path).unwrap();
        assert!(report.defects.is_empty(), "{:?}", report.defects);
        assert_eq!((report.records, report.frames), (500, Some(1)));
        let mut stream = RecordStream::open(&path).unwrap();
        while stream.next().unwrap().is_some() {}
        assert_eq!(stream.counts().records, 500);
    }
}

#[test]
fn what_is_no_dbn_is_named_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dbn.zst");
    let csv = b"ts_recv,ts_event,rtype\n1,2,3\n";
    for (bytes, named) in [
        (b"\x1F\x8B\x08\0\0\0\0\0".to_vec(), "gzip"),
        (csv.to_vec(), "CSV text"),
        ([b"\xEF\xBB\xBF", &csv[..]].concat(), "CSV text"),
        (zstd::encode_all(&csv[..], 1).unwrap(), "decompressed, it is CSV text"),
        (zstd::encode_all(&b"{\"a\":1}\n\n"[..], 1).unwrap(), "decompressed, it is JSON text"),
        (b"\x51\x2A\x4D\x18\x08\0\0\0DBZ\x01XNAS(\xB5/\xFD".to_vec(), "DBZ file (`.dbz`)"),
        (b"PAR1 and so on".to_vec(), "Parquet"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = RecordStream::open(&path).unwrap_err();
        assert!(matches!(error, ConvertError::NotDbn { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
        let report = verify(&path).unwrap();
        assert!(report.defects.iter().any(|d| d.message.contains(named)), "{:?}", report.defects);
    }
}
