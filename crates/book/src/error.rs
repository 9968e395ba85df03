/// Why a record cannot be applied to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The record's header does not describe a market-by-order record.
    #[error(
        "record {record}: header says rtype `{rtype:#04x}` and {size} bytes, expected an MBO record of 56 bytes"
    )]
    NotMbo {
        /// Index of the record in the stream pushed so far.
        record: u64,
        /// `rtype` found.
        rtype: u8,
        /// Record size in bytes found.
        size: usize,
    },
    /// The action byte is none of `A C M R T F N`.
    #[error("record {record}: unknown action `{action:#04x}`")]
    UnknownAction {
        /// Index of the record in the stream pushed so far.
        record: u64,
        /// The byte found.
        action: u8,
    },
    /// The side byte is none of `A B N`.
    #[error("record {record}: unknown side `{side:#04x}`")]
    UnknownSide {
        /// Index of the record in the stream pushed so far.
        record: u64,
        /// The byte found.
        side: u8,
    },
}
