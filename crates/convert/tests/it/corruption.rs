//! Every way a file is known to break: what `verify` names, what a conversion says, and that it
//! leaves nothing behind.

use std::path::Path;

use lob_convert::{ConvertError, DefectKind, OffsetIn, convert, verify};

use crate::{market, small, tree};

const RECORDS: u64 = 2_000;
const RECORD_BYTES: usize = 368;

/// A market as raw bytes, as one frame with checksum, and the length of its header.
struct Sound {
    raw: Vec<u8>,
    zst: Vec<u8>,
    header_bytes: usize,
}

fn sound(folder: &Path) -> Sound {
    let path = market(folder, "sound.mbp-10.dbn", RECORDS, 1, 1);
    let raw = std::fs::read(&path).unwrap();
    let zst = compress(&raw);
    let header_bytes = raw.len() - RECORDS as usize * RECORD_BYTES;
    Sound { raw, zst, header_bytes }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What `verify` must find, in order: kind, and the record index where it is certain.
type Expected<'a> = &'a [(DefectKind, Option<u64>)];

fn check(name: &str, bytes: &[u8], expected: Expected<'_>, records: u64, error: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.dbn");
    std::fs::write(&path, bytes).unwrap();
    let report = verify(&path).unwrap();
    let found: Vec<_> = report.defects.iter().map(|d| (d.kind, d.record_index)).collect();
    assert_eq!(found, expected, "{name}: {:?}", report.defects);
    assert_eq!(report.records, records, "{name}");
    assert_eq!(report.is_sound(), expected.is_empty(), "{name}");
    assert_eq!(report.bytes, bytes.len() as u64, "{name}");

    let out = folder.path().join("made/by/this/run");
    let result = convert(&[path], &small(out.clone()), &());
    if error.is_empty() {
        let summary = result.unwrap();
        assert_eq!(summary.records, records, "{name}");
        return;
    }
    let message = result.unwrap_err().to_string();
    assert!(message.contains(error), "{name}: `{error}` is not in `{message}`");
    assert!(message.contains("input.dbn"), "{name}: `{message}` names no file");
    assert_eq!(tree(&folder.path().join("made")), [""; 0], "{name}");
    assert!(!folder.path().join("made").exists(), "{name}: an empty folder is left");
}

#[test]
fn row_01_frame_cut_in_half() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, zst, .. } = sound(folder.path());
    let cut = &zst[..zst.len() / 2];
    // How many records can still be read depends on the compressor's blocks.
    let mut decoded = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(cut).unwrap();
    drop(std::io::Read::read_to_end(&mut decoder, &mut decoded));
    assert!(decoded.len() < raw.len());
    let path = folder.path().join("cut.dbn.zst");
    std::fs::write(&path, cut).unwrap();
    let report = verify(&path).unwrap();
    let defect = &report.defects[0];
    assert_eq!((defect.kind, defect.byte_offset), (DefectKind::FrameTruncated, 0));
    assert_eq!((defect.offset_in, defect.record_index), (OffsetIn::File, Some(report.records)));
    assert!(report.records < RECORDS && !report.is_sound());
    let out = folder.path().join("out");
    let error = convert(&[path], &small(out.clone()), &()).unwrap_err();
    assert!(matches!(error, ConvertError::Truncated { .. }), "{error}");
    assert!(!out.exists());
}

#[test]
fn row_02_last_bytes_of_the_frame_missing() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { zst, .. } = sound(folder.path());
    for missing in [1, 4, 5] {
        let bytes = &zst[..zst.len() - missing];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.dbn.zst");
        std::fs::write(&path, bytes).unwrap();
        let report = verify(&path).unwrap();
        assert_eq!(report.defects[0].kind, DefectKind::FrameTruncated, "minus {missing}");
        let error = convert(&[path], &small(folder.path().join("out")), &()).unwrap_err();
        assert!(matches!(error, ConvertError::Truncated { .. }), "minus {missing}: {error}");
    }
}

#[test]
fn row_03_raw_file_cut_inside_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, .. } = sound(folder.path());
    for missing in [1, 100, 360, 367] {
        check(
            "raw cut",
            &raw[..raw.len() - missing],
            &[(DefectKind::RecordTruncated, Some(RECORDS - 1))],
            RECORDS - 1,
            "bytes into the record",
        );
    }
}

#[test]
fn row_04_bit_flip_in_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { mut zst, .. } = sound(folder.path());
    let middle = zst.len() / 2;
    zst[middle] ^= 0x10;
    let path = folder.path().join("flip.dbn.zst");
    std::fs::write(&path, &zst).unwrap();
    let report = verify(&path).unwrap();
    assert!(!report.is_sound(), "{:?}", report.defects);
    let out = folder.path().join("out");
    assert!(convert(&[path], &small(out.clone()), &()).is_err());
    assert!(!out.exists());
}

#[test]
fn row_05_trailing_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { zst, .. } = sound(folder.path());
    let bytes = [&zst[..], b"garbage after the frame"].concat();
    let path = folder.path().join("trailing.dbn.zst");
    std::fs::write(&path, &bytes).unwrap();
    let report = verify(&path).unwrap();
    let first = &report.defects[0];
    assert_eq!((first.kind, first.byte_offset), (DefectKind::TrailingBytes, zst.len() as u64));
    assert_eq!(report.records, RECORDS);
    let error = convert(&[path], &small(folder.path().join("out")), &()).unwrap_err();
    assert!(matches!(error, ConvertError::TrailingBytes { extra: 23, .. }), "{error}");
}

#[test]
fn row_06_empty_file_and_cut_header() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    let header = [(DefectKind::RecordTruncated, None)];
    for length in [0, 2, 7, 100, header_bytes - 1] {
        check("cut header", &raw[..length], &header, 0, "truncated");
    }
    // Compressed, the frame is whole and the header in it is not.
    check("cut header", &compress(&raw[..100]), &header, 0, "truncated");
    check("header alone", &raw[..header_bytes], &[], 0, "no bin came out of 0 records");
}

#[test]
fn row_07_impossible_record_length() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    for length in [0, 1, 3] {
        let mut bytes = raw.clone();
        bytes[header_bytes + 500 * RECORD_BYTES] = length;
        check(
            "length",
            &bytes,
            &[(DefectKind::RecordLength, Some(500))],
            RECORDS - 1,
            "record 500 at byte",
        );
    }
}

#[test]
fn row_08_wrong_but_plausible_record_length() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    for length in [50, 91, 93, 200, 255] {
        let mut bytes = raw.clone();
        bytes[header_bytes + 500 * RECORD_BYTES] = length;
        check(
            "length",
            &bytes,
            &[(DefectKind::RecordLength, Some(500))],
            RECORDS - 1,
            "expected 368 bytes for `mbp-10`",
        );
    }
}

#[test]
fn row_09_unknown_record_type() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    // Nothing at all, and trades among ten levels.
    for rtype in [0x63, 0x00] {
        let mut bytes = raw.clone();
        bytes[header_bytes + 700 * RECORD_BYTES + 1] = rtype;
        check(
            "rtype",
            &bytes,
            &[(DefectKind::RecordType, Some(700))],
            RECORDS - 1,
            "record 700 at byte",
        );
    }
}

/// Types that may accompany books: fault 1 of the review skipped each of them whatever its length.
const COMPANIONS: std::ops::RangeInclusive<u8> = 0x12..=0x18;

#[test]
fn row_09_type_of_a_companion_with_the_length_of_a_book_record() {
    let folder = tempfile::tempdir().unwrap();
    for schema in ["mbp-10", "mbo"] {
        let path = market(folder.path(), &format!("sound.{schema}.dbn"), RECORDS, 1, 1);
        let raw = std::fs::read(&path).unwrap();
        let record_bytes = if schema == "mbo" { 56 } else { RECORD_BYTES };
        let header_bytes = raw.len() - RECORDS as usize * record_bytes;
        for rtype in COMPANIONS {
            let mut bytes = raw.clone();
            bytes[header_bytes + 700 * record_bytes + 1] = rtype;
            check(
                &format!("{schema} as {rtype:#04x}"),
                &bytes,
                &[(DefectKind::RecordType, Some(700))],
                RECORDS - 1,
                &format!("record 700 at byte {}", header_bytes + 700 * record_bytes),
            );
        }
    }
}

#[test]
fn row_09_companion_of_the_length_of_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    let at = header_bytes + 700 * RECORD_BYTES;
    let with = |rtype: u8, length: usize| {
        let mut companion = vec![0; length];
        (companion[0], companion[1]) = ((length / 4) as u8, rtype);
        if (rtype, length) == (0x16, 176) {
            // A mapping without a symbol is another kind of fault.
            (companion[17], companion[89]) = (b'A', b'A');
            companion[160..].fill(0xFF);
        }
        [&raw[..at], &companion, &raw[at..]].concat()
    };
    // The file is of version 3.
    let sound =
        [(0x12, 40), (0x13, 520), (0x14, 112), (0x15, 320), (0x16, 176), (0x17, 320), (0x18, 80)];
    for (rtype, length) in sound {
        check("companion", &with(rtype, length), &[], RECORDS + 1, "");
    }
    let others =
        [(0x12, 48), (0x13, 400), (0x13, 360), (0x14, 104), (0x15, 80), (0x16, 80), (0x17, 80)];
    for (rtype, length) in others.into_iter().chain([(0x18, 64), (0x18, 88)]) {
        check(
            &format!("{rtype:#04x} with {length}"),
            &with(rtype, length),
            &[(DefectKind::RecordLength, Some(700))],
            RECORDS,
            "record 700 at byte",
        );
    }
}

/// An order whose type byte lost its highest bit is as long as a bar, and a capture without a
/// schema may hold bars.
#[test]
fn row_09_an_order_that_turned_into_a_bar() {
    let folder = tempfile::tempdir().unwrap();
    let path = market(folder.path(), "sound.mbo.dbn", RECORDS, 1, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let header_bytes = bytes.len() - RECORDS as usize * 56;
    bytes[8 + 16..8 + 18].fill(0xFF);
    check("no schema", &bytes, &[], RECORDS, "");
    let at = header_bytes + 700 * 56;
    bytes[at + 1] ^= 0x80;
    let field = [(DefectKind::RecordField, Some(700))];
    check("a bar", &bytes, &field, RECORDS - 1, "which are no bar's prices");
    // A real one is counted and skipped.
    let px = |px: i64| px.to_le_bytes();
    bytes[at + 16..at + 48].copy_from_slice(&[px(3), px(5), px(1), px(4)].concat());
    check("a sound bar", &bytes, &[], RECORDS, "");
}

#[test]
fn row_10_two_files_joined() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, zst, .. } = sound(folder.path());
    let joined = [(DefectKind::Concatenated, Some(RECORDS))];
    let error = "holds a second DBN file";
    check("raw", &[&raw[..], &raw[..]].concat(), &joined, 2 * RECORDS, error);
    check("zst", &[&zst[..], &zst[..]].concat(), &joined, 2 * RECORDS, error);
}

#[test]
fn row_11_two_frames_are_fine() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, header_bytes, .. } = sound(folder.path());
    let frames = [compress(&raw[..header_bytes]), compress(&raw[header_bytes..])].concat();
    check("two frames", &frames, &[], RECORDS, "");
    check("whole", &raw, &[], RECORDS, "");
}

#[test]
fn row_12_foreign_headers() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { raw, .. } = sound(folder.path());
    let mut version = raw.clone();
    version[3] = 9;
    check("version", &version, &[(DefectKind::Header, None)], 0, "DBN version `9`");
    check("magic", b"PAR1 and so on", &[(DefectKind::Header, None)], 0, "not a DBN file");
    let inner = compress(b"text in a frame");
    check("magic in a frame", &inner, &[(DefectKind::Header, None)], 0, "not a DBN file");
}

#[test]
fn market_oddities_are_counted_and_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let Sound { mut raw, header_bytes, .. } = sound(folder.path());
    let report = |raw: &[u8]| {
        let path = folder.path().join("odd.dbn");
        std::fs::write(&path, raw).unwrap();
        let report = verify(&path).unwrap();
        assert!(report.is_sound());
        report.oddities
    };
    let before = report(&raw);
    let record = |n: usize| header_bytes + n * RECORD_BYTES;
    // Bid above ask, no quotes at all, capture time and sequence going back.
    let at = record(1_000);
    raw[at + 48..at + 56].copy_from_slice(&1_000_000_000_000_i64.to_le_bytes());
    let at = record(1_200);
    raw[at + 48..at + 64].copy_from_slice(&[i64::MAX.to_le_bytes(); 2].concat());
    let at = record(1_400);
    raw[at + 32..at + 40].copy_from_slice(&1_u64.to_le_bytes());
    raw[at + 44..at + 48].copy_from_slice(&0_u32.to_le_bytes());
    let after = report(&raw);
    assert_eq!(after.crossed, before.crossed + 1);
    assert_eq!(after.empty, before.empty + 1);
    assert_eq!(after.ts_recv_backwards, before.ts_recv_backwards + 1);
    assert_eq!(after.sequence_backwards, before.sequence_backwards + 1);
}
