//! Which lines the CPU time goes to, and which lines allocate: stacks sampled, unwound and
//! resolved.
//!
//! Whoever interrupts the program (a signal handler, the allocator, the kernel) only copies the
//! registers and the top of the stack; a thread of the profiler unwinds the copies with the tables
//! the compiler left in the binaries, and names and lines are looked up when the profile is taken.
//! Nothing is unwound, allocated or locked in the interrupted program, so a sample is safe at any
//! instruction.

mod difference;
mod heap;
#[cfg_attr(
    not(all(
        feature = "lines",
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    expect(dead_code, reason = "what samples is left out, what reports it is not")
)]
mod report;
#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod sampling;
#[cfg(not(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod without;
#[cfg(not(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
use without as sampling;

pub use difference::{Difference, FunctionChange, Part, ReadError, StackTimes};
pub use heap::{HeapProfile, HeapSite};
pub(crate) use report::tree;
pub use report::{
    AllocProfile, AllocSite, FrameKind, HOT_LINE, HotFunction, HotLine, LineProfile, PythonSamples,
    SampledStack, SampledThread, StackFrame, TimedSample,
};
pub(crate) use sampling::ChildSampler;
pub use sampling::{AllocSites, LineProfiler, track_alloc_sites};
#[cfg(all(
    feature = "lines",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(crate) use sampling::{Context as HeapContext, Contexts as HeapContexts};
