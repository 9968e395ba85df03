//! Shapes of the tensors that scopes work on, where the code that knows them says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::CURRENT;
use super::look::{Selection, path, places};
use super::registry::registry;

/// Different shapes kept of one scope; later ones are left out.
pub const MAX_SHAPES_PER_SCOPE: usize = 16;

/// Apart from the flags of scopes, which stay the common ones meanwhile.
static ON: AtomicBool = AtomicBool::new(false);
static SEEN: Mutex<Seen> = Mutex::new(Seen { looks: 0, by_node: BTreeMap::new() });

struct Seen {
    /// Raised with every recorded shape, so that a reader knows which are new to it.
    looks: u64,
    /// By the node's address: the shapes, and when each was last seen.
    by_node: BTreeMap<usize, BTreeMap<Vec<usize>, u64>>,
}

fn seen() -> MutexGuard<'static, Seen> {
    // Entries are inserted whole.
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shapes recorded in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeShapes {
    /// Names from the outermost scope, joined by `/`, as in [`super::take_scopes`].
    pub path: String,
    /// Different shapes, in order; [`MAX_SHAPES_PER_SCOPE`] at most.
    pub shapes: Vec<Vec<usize>>,
}

/// Switches the recording of shapes on or off. Off at the start: each costs a lock while on, and a
/// load and a branch while off.
pub fn record_shapes(on: bool) {
    ON.store(on && cfg!(not(feature = "compile-out")), Ordering::Relaxed);
}

/// Says which shape the innermost open scope works on, such as `[batch, inputs]`.
///
/// ```
/// lob_scope::record_shapes(true);
/// let recording = lob_scope::ScopeRecording::start("step");
/// {
///     let _step = recording.enter();
///     lob_scope::scope_shape(&[32, 784]);
/// }
/// assert_eq!(recording.finish().shapes[0].shapes, [[32, 784]]);
/// # lob_scope::record_shapes(false);
/// ```
#[inline]
pub fn scope_shape(shape: &[usize]) {
    if ON.load(Ordering::Relaxed) {
        record(shape);
    }
}

#[cold]
fn record(shape: &[usize]) {
    let Some(node) = CURRENT.get() else { return };
    let mut seen = seen();
    seen.looks += 1;
    let now = seen.looks;
    let shapes = seen.by_node.entry(std::ptr::from_ref(node).addr()).or_default();
    if let Some(last) = shapes.get_mut(shape) {
        *last = now;
    } else if shapes.len() < MAX_SHAPES_PER_SCOPE {
        shapes.insert(shape.to_vec(), now);
    }
}

/// A moment from which on shapes are new.
pub(super) fn moment() -> u64 {
    seen().looks
}

/// Shapes seen after a moment in the selected scopes.
pub(super) fn since(moment: u64, selection: Selection) -> Vec<ScopeShapes> {
    if seen().looks == moment {
        return Vec::new();
    }
    let roots = registry().trees.clone();
    let seen = seen();
    let mut by_path: BTreeMap<Vec<String>, Vec<Vec<usize>>> = BTreeMap::new();
    for place in roots.into_iter().flat_map(|root| places(root, selection)) {
        let shapes = seen.by_node.get(&std::ptr::from_ref(place.node).addr());
        let (Some(from), Some(shapes)) = (place.from, shapes) else { continue };
        let new = shapes.iter().filter(|(_, last)| **last > moment);
        let new: Vec<Vec<usize>> = new.map(|(shape, _)| shape.clone()).collect();
        if !new.is_empty() {
            by_path.entry(path(place.node, from)).or_default().extend(new);
        }
    }
    let sorted = |(path, mut shapes): (Vec<String>, Vec<Vec<usize>>)| {
        shapes.sort();
        shapes.dedup();
        ScopeShapes { path: path.join("/"), shapes }
    };
    by_path.into_iter().map(sorted).collect()
}
