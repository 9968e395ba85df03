//! The bytes of a market-by-order record as types: what is not one of them is an error, once.

use dbn::{MboMsg, rtype};

use crate::BookError;

/// What a record does to the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Add,
    Cancel,
    Modify,
    Clear,
    Trade,
    /// A fill or a record without action: the book changes by the records that follow it.
    Inert,
}

/// The side of the book an order rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BookSide {
    Bid,
    Ask,
}

/// Reads action and side of record number `record`; `None` is DBN's side `N`.
pub(crate) fn read(msg: &MboMsg, record: u64) -> Result<(Act, Option<BookSide>), BookError> {
    if msg.hd.rtype != rtype::MBO || msg.hd.record_size() != size_of::<MboMsg>() {
        let size = msg.hd.record_size();
        return Err(BookError::NotMbo { record, rtype: msg.hd.rtype, size });
    }
    let act = match msg.action.cast_unsigned() {
        b'A' => Act::Add,
        b'C' => Act::Cancel,
        b'M' => Act::Modify,
        b'R' => Act::Clear,
        b'T' => Act::Trade,
        b'F' | b'N' => Act::Inert,
        action => return Err(BookError::UnknownAction { record, action }),
    };
    let side = match msg.side.cast_unsigned() {
        b'B' => Some(BookSide::Bid),
        b'A' => Some(BookSide::Ask),
        b'N' => None,
        side => return Err(BookError::UnknownSide { record, side }),
    };
    Ok((act, side))
}
