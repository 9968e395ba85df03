//! A level-3 order book: market-by-order records in, ten aggregated levels out.
//!
//! - [`Replayer`] keeps one [`OrderBook`] per publisher and instrument and turns a stream of
//!   [`MboMsg`](dbn::MboMsg) into [`Mbp10Msg`](dbn::Mbp10Msg).
//! - [`SnapshotTracker`] tells the records that put a book together from those of a live market.
//! - [`ReplayStats`] counts what happened, among it everything that a sound feed never contains.
//! - [`BookError`] is returned for records that are not market-by-order records at all.
//!
//! The rules of the replay stand at [`Replayer`].
//!
//! ```
//! use dbn::{Action, MboMsg, RecordHeader, Side, rtype};
//! use lob_book::Replayer;
//!
//! # fn main() -> Result<(), lob_book::BookError> {
//! let bid = MboMsg {
//!     hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 42, 1_000),
//!     order_id: 7,
//!     price: 5_200_250_000_000,
//!     size: 3,
//!     action: u8::from(Action::Add).cast_signed(),
//!     side: u8::from(Side::Bid).cast_signed(),
//!     ..MboMsg::default()
//! };
//! let mut replayer = Replayer::new();
//! let update = replayer.push(&bid)?.expect("the best bid changed");
//! assert_eq!((update.levels[0].bid_px, update.levels[0].bid_sz), (5_200_250_000_000, 3));
//! assert_eq!(update.levels[0].ask_px, dbn::UNDEF_PRICE);
//! # Ok(())
//! # }
//! ```

mod book;
mod error;
mod event;
mod ladder;
mod replay;
mod snapshot;
mod stats;

pub use book::OrderBook;
pub use error::BookError;
pub use replay::Replayer;
pub use snapshot::SnapshotTracker;
pub use stats::ReplayStats;
