//! DBN files to a store of labelled tick bins, with nothing lost silently.
//!
//! [`RecordStream`] is the one source of book updates for every file; [`convert`] bins and labels
//! them into a store; [`verify`] lists what is wrong with a file.
//!
//! ```
//! use lob_convert::RecordStream;
//! use lob_synth::{SynthConfig, write_file};
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("market.mbp-10.dbn.zst");
//! write_file(&SynthConfig { records: 200, ..SynthConfig::default() }, &path)?;
//! let mut stream = RecordStream::open(&path)?;
//! while stream.next()?.is_some() {}
//! assert_eq!(stream.counts().updates, 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classes;
mod clock;
mod config;
mod convert;
mod day;
mod decode;
mod duplicate;
mod edges;
mod error;
mod hash;
mod increments;
mod input_file;
mod inputs;
mod inspect;
mod instruments;
mod journal;
mod labels;
mod levels;
mod out_dir;
mod overlap;
mod pipeline;
mod progress;
mod store_files;
mod summary;
mod symbols;
mod truth;
mod upgrade;
mod verify;

pub use classes::ClassReport;
pub use clock::{Clock, event_near};
pub use config::{
    ClassEdges, ConvertConfig, ForwardClasses, Horizon, InputHash, Layout, Preset, PriceStepChoice,
    Shard,
};
pub use convert::{convert, convert_on};
pub use day::DayStart;
pub use decode::{BookSchema, RecordStream, StreamCounts, Update};
pub use duplicate::{DuplicateKind, DuplicateSummary};
pub use edges::{
    EdgesInput, EdgesSummary, FittedEdges, FittedOn, InstrumentEdges, MOVEMENT_UNIT, fit_edges,
};
pub use error::ConvertError;
pub use inspect::{
    DbnInspection, EdgesInspection, Inspection, JournalInspection, LabelCounts,
    StoreFileInspection, StoreInspection, inspect, inspect_with,
};
pub use instruments::{At, Instrument};
pub use levels::{Mbp10Levels, update_meta};
pub use pipeline::Breaks;
pub use progress::Progress;
pub use summary::{
    ConvertSummary, InputSummary, LabelSummary, OutputSummary, PriceStepSource, TruthCounts,
};
pub use upgrade::{UpgradeSummary, UpgradedFile, upgrade};
pub use verify::{
    Defect, DefectKind, InstrumentCount, Oddities, OffsetIn, VerifyReport, verify, verify_with,
};
