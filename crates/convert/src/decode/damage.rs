//! How a stream ends, and why it cannot be read on.

use super::RecordStream;
use crate::ConvertError;

impl RecordStream {
    /// No bytes may be left over when the file ends, and it must be the file that was opened.
    pub(super) fn end(&mut self) -> Result<(), ConvertError> {
        self.is_done = true;
        if self.filled_bytes == self.counts.decoded_bytes {
            return self.input.check_read(&self.source.content());
        }
        Err(self.or_changed(ConvertError::Truncated {
            path: self.path().to_owned(),
            what: format!(
                "the file ends {} bytes into the record",
                self.filled_bytes - self.counts.decoded_bytes
            ),
            byte_offset: self.counts.decoded_bytes,
            records: Some(self.counts.records),
        }))
    }

    /// The error, unless the file changed: then that is the reason.
    pub(super) fn or_changed(&self, error: ConvertError) -> ConvertError {
        self.input.check().err().unwrap_or(error)
    }

    #[cold]
    pub(super) fn bad_record(&self, rtype: u8, bytes: usize) -> ConvertError {
        let (path, byte_offset) = (self.path().to_owned(), self.counts.decoded_bytes);
        // The four bytes `DBN` and a version read as length 272, rtype 66.
        if rtype == b'B' && bytes == usize::from(b'D') * 4 {
            let records = self.counts.records;
            return self.or_changed(ConvertError::Concatenated { path, byte_offset, records });
        }
        self.bad_field(rtype, &format!("{bytes} bytes"))
    }

    /// A record with something that contradicts its type.
    #[cold]
    pub(super) fn bad_field(&self, rtype: u8, found: &str) -> ConvertError {
        self.or_changed(ConvertError::BadRecord {
            path: self.path().to_owned(),
            record_index: self.counts.records,
            byte_offset: self.counts.decoded_bytes,
            found: format!("rtype `{rtype:#04x}` with {found}"),
            expected: self.lengths.expected(rtype, self.schema),
        })
    }

    #[cold]
    pub(super) fn read_error(&self, source: std::io::Error) -> ConvertError {
        let (path, records) = (self.path().to_owned(), self.counts.records);
        let byte_offset = self.source.file_bytes();
        self.or_changed(if !self.source.is_compressed() {
            ConvertError::Io { path, action: "read", source }
        } else if source.kind() == std::io::ErrorKind::UnexpectedEof {
            let what = "the file ends inside a Zstandard frame".to_owned();
            ConvertError::Truncated { path, what, byte_offset, records: Some(records) }
        } else {
            ConvertError::Decompress { path, byte_offset, records, source }
        })
    }
}
