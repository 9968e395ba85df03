//! NVTX ranges: what NVIDIA's profilers (Nsight Systems, Nsight Compute) show beside the GPU's
//! work.
//!
//! Nothing is linked. A profiler that starts a program names its own library in
//! `NVTX_INJECTION64_PATH`, which is asked for its functions as NVTX 3 does it; failing that, the
//! library of NVTX 2, `libnvToolsExt.so.1`, is tried. Names are those of the headers of
//! github.com/NVIDIA/NVTX.

#[cfg(unix)]
mod load;

use std::cell::Cell;
use std::marker::PhantomData;

use crate::Unavailable;

/// Longest name passed on, in bytes; the rest of a longer one is cut off.
#[cfg(unix)]
const MAX_NAME_BYTES: usize = 127;

thread_local! {
    /// Ranges this thread has opened for scopes and not closed.
    static OPEN: Cell<u32> = const { Cell::new(0) };
}

/// Makes every scope of the process an NVTX range too, or stops doing so. Off at the start. Switch
/// it on before the first scope is entered, and leave it on.
///
/// # Errors
/// Where no profiler is attached and no NVTX library is installed; then nothing is switched.
pub fn nvtx_scopes(on: bool) -> Result<(), Unavailable> {
    if on {
        functions()?;
    }
    super::set_flag(super::NVTX, on);
    Ok(())
}

/// An NVTX range on the calling thread, until it is dropped. Costs a load and a branch where
/// nothing listens.
///
/// ```
/// let _pipeline = lob_scope::NvtxRange::enter("trading_pipeline");
/// let _features = lob_scope::NvtxRange::enter("features");
/// ```
#[derive(Debug)]
#[must_use = "a range lasts as long as its guard: bind it to a name"]
pub struct NvtxRange {
    open: bool,
    _not_send: PhantomData<*const ()>,
}

impl NvtxRange {
    /// Opens a range below the one open on this thread. Names are cut at 127 bytes, and at a zero
    /// byte.
    pub fn enter(name: &str) -> Self {
        Self { open: push(name), _not_send: PhantomData }
    }
}

impl Drop for NvtxRange {
    fn drop(&mut self) {
        if self.open {
            pop();
        }
    }
}

/// Opens the range of a scope.
pub(super) fn open_scope(name: &str) {
    if push(name) {
        let _ = OPEN.try_with(|open| open.set(open.get() + 1));
    }
}

/// Closes the range of a scope, if it had one: the switch may be younger than the scope.
pub(super) fn close_scope() {
    let had = OPEN.try_with(|open| {
        let count = open.get();
        open.set(count.saturating_sub(1));
        count > 0
    });
    if had.unwrap_or(false) {
        pop();
    }
}

#[cfg(unix)]
fn functions() -> Result<&'static load::Functions, Unavailable> {
    load::functions()
}

#[cfg(not(unix))]
fn functions() -> Result<(), Unavailable> {
    Err(Unavailable::new("NVTX is only looked for on Unix systems"))
}

#[cfg(unix)]
fn push(name: &str) -> bool {
    let Ok(functions) = functions() else { return false };
    let mut text = [0u8; MAX_NAME_BYTES + 1];
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].copy_from_slice(&name.as_bytes()[..end]);
    functions.push(&text);
    true
}

#[cfg(unix)]
fn pop() {
    if let Ok(functions) = functions() {
        functions.pop();
    }
}

#[cfg(not(unix))]
fn push(_name: &str) -> bool {
    false
}

#[cfg(not(unix))]
fn pop() {}
