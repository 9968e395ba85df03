//! What cannot be written, and lengths as the format counts them.

use std::path::Path;

use parquet::errors::ParquetError;

use crate::StoreError;

/// Why a page cannot be written.
#[derive(Debug)]
pub(in crate::ticks) enum Reject {
    /// A time that does not fit its column: row of the page, column and time.
    Time(usize, String, u64),
    Parquet(ParquetError),
}

impl Reject {
    /// As an error of the file; `first` is the page's first row.
    pub(in crate::ticks) fn at(self, path: &Path, first: usize) -> StoreError {
        match self {
            Self::Parquet(source) => crate::writer::encode_error(path, source),
            Self::Time(row, column, ts) => StoreError::Invalid {
                path: path.to_owned(),
                row: (first + row) as u64,
                reason: format!("`{column}` of `{ts}` does not fit its column"),
            },
        }
    }
}

impl From<ParquetError> for Reject {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// Rows of a page, or values of its dictionary, as the format counts them.
#[expect(clippy::cast_possible_truncation, reason = "a page has few rows")]
pub(super) fn rows(n: usize) -> u32 {
    n as u32
}

/// A length in a page's head, which is a signed number of 32 bits.
pub(super) fn length(n: usize) -> Result<u32, ParquetError> {
    i32::try_from(n).map(i32::cast_unsigned).map_err(|_| too_long(n))
}

pub(super) fn too_long(n: usize) -> ParquetError {
    ParquetError::General(format!("a page of `{n}` bytes"))
}
