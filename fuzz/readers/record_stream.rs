//! Any bytes as a DBN file: an error or an end, never a panic. What the stream calls sound, the
//! verifier must not call broken.

use std::io::Write;

use lob_convert::{ConvertError, RecordStream, verify};

fn read(path: &std::path::Path) -> Option<u64> {
    let mut stream = RecordStream::open(path).ok()?;
    while stream.next().ok()?.is_some() {}
    Some(stream.counts().records)
}

pub(crate) fn check(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for the input");
    let records = read(file.path());
    let report = match verify(file.path()) {
        // It would take more memory than is given: nobody reads it.
        Err(ConvertError::Window { .. }) => return assert_eq!(records, None),
        report => report.expect("the file can be read"),
    };
    if let Some(records) = records {
        assert!(report.is_sound(), "{:?}", report.defects);
        assert_eq!(report.records, records);
    }
}
