//! The lossless layout: one row for each book update, under DBN's own column names.

mod columns;
mod encode;
mod log;
mod meta;
mod page;
mod write;

use lob_depth::{LEVELS, Level};

pub use encode::{TickEncoder, TickGroup, TickOptions};
pub use log::TickLog;
pub use meta::{TICKS_FORMAT_VERSION, TickMeta, read_tick_meta};
pub use write::TickWriter;

/// One book update of an instrument with everything DBN's MBP-10 record holds beside its length and
/// the instrument's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickRow {
    /// Capture time, nanoseconds since the Unix epoch; `u64::MAX` where unknown.
    pub ts_recv: u64,
    /// Exchange time, nanoseconds since the Unix epoch; `u64::MAX` where unknown.
    pub ts_event: u64,
    /// Record type.
    pub rtype: u8,
    /// Publisher.
    pub publisher_id: u16,
    /// Event action: an ASCII letter.
    pub action: u8,
    /// Side that started the event: an ASCII letter.
    pub side: u8,
    /// Level of the book that was updated.
    pub depth: u8,
    /// Order price in 1e-9 units; [`lob_depth::UNDEF_PRICE`] where there is none.
    pub price: i64,
    /// Order size.
    pub size: u32,
    /// Bit set of record flags.
    pub flags: u8,
    /// Nanoseconds from the exchange's sending to `ts_recv`.
    pub ts_in_delta: i32,
    /// Sequence number of the message.
    pub sequence: u32,
    /// The book after the update, prices in 1e-9 units.
    pub levels: [Level; LEVELS],
}
