//! The subcommands.

pub(crate) mod ab;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod difference;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod man;
mod mappings;
pub(crate) mod profile;
pub(crate) mod render;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod signals;
pub(crate) mod store;
pub(crate) mod synth;
pub(crate) mod top;
pub(crate) mod train;
pub(crate) mod verify;
pub(crate) mod windows;
