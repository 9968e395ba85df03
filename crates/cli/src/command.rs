//! The subcommands.

pub(crate) mod ab;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod profile;
pub(crate) mod render;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod signals;
pub(crate) mod synth;
pub(crate) mod verify;
