//! Class edges as a step of their own: fitted once on the first days of each instrument, and read
//! by every conversion, so that neither order nor jobs nor shards change them.

mod file;
mod fit;
pub(crate) mod id;
mod seen;
mod temp;

pub use self::{
    file::{EdgesInput, FittedOn, InstrumentEdges},
    fit::{EdgesSummary, FittedEdges, fit_edges},
};
pub(crate) use self::{
    file::{is_edges_folder, read},
    seen::{SeenEdges, differing_edges},
};

/// What movements are measured in, and so their edges.
pub const MOVEMENT_UNIT: &str = "fraction of the mean mid before";
