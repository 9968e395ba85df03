//! What a file is that is no DBN file, by its first bytes.

/// First bytes of files that people name `.dbn` or take for DBN, and what to do with them.
const FORMATS: [(&[u8], &str); 12] = [
    (&[0x1F, 0x8B], "it is compressed with gzip; decompress it first: `gunzip`"),
    (b"BZh", "it is compressed with bzip2; decompress it first: `bunzip2`"),
    (&[0xFD, b'7', b'z', b'X', b'Z', 0], "it is compressed with xz; decompress it first: `unxz`"),
    (&[0x04, 0x22, 0x4D, 0x18], "it is compressed with LZ4; decompress it first: `unlz4`"),
    (b"PK\x03\x04", "it is a ZIP archive; unpack it first"),
    (b"7z\xBC\xAF\x27\x1C", "it is a 7z archive; unpack it first"),
    (b"PAR1", "it is a Parquet file"),
    (b"ARROW1", "it is an Arrow file"),
    (b"{", "it is JSON text; request the data again with the encoding `dbn`"),
    (b"[", "it is JSON text; request the data again with the encoding `dbn`"),
    (&[0xFF, 0xFE], "it is UTF-16 text; request the data again with the encoding `dbn`"),
    (&[0xFE, 0xFF], "it is UTF-16 text; request the data again with the encoding `dbn`"),
];
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];
/// Where the predecessor of DBN says so: in a skippable frame, behind its magic number and length.
const DBZ_AT: usize = 8;

/// What a file is, if that is known and is not DBN.
pub(super) fn foreign_format(head: &[u8]) -> Option<String> {
    if head.first().is_some_and(|byte| (0x50..=0x5F).contains(byte))
        && head.get(1..4) == Some(&[0x2A, 0x4D, 0x18])
    {
        let is_dbz = head.get(DBZ_AT..).is_some_and(|rest| rest.starts_with(b"DBZ"));
        return is_dbz.then(|| {
            "it is a DBZ file (`.dbz`), the format before DBN; download the data again as DBN, or \
             convert it with an old version of the vendor's tools"
                .to_owned()
        });
    }
    let (_, what) = FORMATS.iter().find(|(magic, _)| head.starts_with(magic)).copied()?;
    Some(what.to_owned())
}

/// What stands at the start of a file, or of a decompressed stream, that should be a DBN header.
pub(super) fn start_of(head: &[u8]) -> String {
    if let Some(found) = foreign_format(head) {
        return found;
    }
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_text = line.iter().all(|byte| byte.is_ascii_graphic() || b" \t\r".contains(byte));
    let what = if is_text && line.contains(&b',') {
        "it is CSV text; request the data again with the encoding `dbn`; it"
    } else {
        "it"
    };
    format!("{what} starts with `{}`", head[..head.len().min(8)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_take_for_dbn_is_named() {
        for (head, named) in [
            (&b"\x1F\x8B\x08\0\0"[..], "gzip"),
            (b"ts_recv,ts_event,price\n1,2,3\n", "CSV"),
            (b"\xEF\xBB\xBFts_recv,ts_event\n", "CSV"),
            (b"\"ts_recv\",\"ts_event\"\r\n", "CSV"),
            (b"{\"hd\":{\"ts_event\":1}}\n", "JSON"),
            (b"PAR1....", "Parquet"),
            (b"PK\x03\x04....", "ZIP"),
            (b"\x51\x2A\x4D\x18\x10\0\0\0DBZ\x01XNAS", "DBZ"),
            (b"text without separators", "it starts with `text wit`"),
            (b"\0\x01\x02,\x03", r"it starts with `\x00\x01\x02,\x03`"),
        ] {
            assert!(start_of(head).contains(named), "{}", start_of(head));
        }
        // A frame to be skipped may hold anything else.
        assert_eq!(foreign_format(b"\x50\x2A\x4D\x18\x04\0\0\0abcd(\xB5/\xFD"), None);
    }
}
