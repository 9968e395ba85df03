//! A deterministic market simulator that writes valid DBN files.
//!
//! - [`SynthConfig`] says how many records of how many instruments and days are wanted.
//! - [`write_file`], [`write_sessions`], [`write_dbn_zst`] and [`write_dbn`] write them;
//!   [`mbo_records`] and [`mbp10_records`] keep them in memory.
//! - [`SynthSummary`] says what was written.
//! - [`write_messy_file`] and [`write_messy_sessions`] add what real feeds have: see [`Mess`].
//!
//! The market is simulated order by order: adds, cancels, modifies and market orders against
//! queues with time priority. Schema [`Schema::Mbo`] writes these orders, [`Schema::Mbp10`] what
//! [`lob_book::Replayer`] makes of them, so both show the same market. All draws are integers: the
//! same configuration gives the same bytes on every platform.
//!
//! Hidden behind the orders are two things that a model can learn: a market-wide regime (calm,
//! normal, busy, stressed: a Markov chain that sets pace, queue sizes, spread and trade share) and,
//! in each instrument, a slowly wandering pressure of buyers or sellers. [`write_file_with_truth`]
//! hands them out, record by record; the market is the same with and without it.
//!
//! How real it looks (200,000 MBP-10 records of four instruments, seed 11, the future 6AM4), beside
//! one replayed holiday session of a real index future; `tests/it/realism.rs` measures the first
//! column and holds it in bounds:
//!
//! | measure | simulated | real |
//! |---|---|---|
//! | spread of 1 tick / 2 ticks | 92.1 % / 6.9 % | 90.2 % / 8.2 % |
//! | trades | 6.0 % | 6.8 % |
//! | updates of the touch (`depth` 0) | 69 % | 75 % |
//! | mean size at the touch | 24 | 31 |
//! | median time between updates | 0.06 ms | 0.09 ms |
//! | compression ratio | 15.7 | 15.7 |
//!
//! ```
//! use lob_synth::{SynthConfig, write_dbn_zst};
//!
//! # fn main() -> Result<(), lob_synth::SynthError> {
//! let config = SynthConfig { records: 2_000, instruments: 2, ..SynthConfig::default() };
//! let mut file = Vec::new();
//! let summary = write_dbn_zst(&config, &mut file)?;
//! assert_eq!(summary.records, 2_000);
//! assert_eq!(summary.instruments[1].1, "ESM4");
//! # Ok(())
//! # }
//! ```

mod calendar;
mod config;
mod error;
mod instrument;
mod market;
mod message;
mod messy;
mod queue;
mod regime;
mod rng;
mod sim;
mod stream;
mod truth;
mod writer;

pub use config::{Schema, SynthConfig};
pub use error::SynthError;
pub use messy::{
    Insertion, InsertionKind, Mess, MessyFile, QUIET_QUOTES, SymbolsIn, write_messy_file,
    write_messy_sessions,
};
pub use stream::{SynthSummary, mbo_records, mbp10_records};
pub use truth::{REGIMES, Truth};
pub use writer::{
    SessionFile, write_dbn, write_dbn_zst, write_file, write_file_until, write_file_with_truth,
    write_sessions, write_sessions_until, write_sessions_with_truth,
};
