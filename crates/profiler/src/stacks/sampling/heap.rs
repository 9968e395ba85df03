//! Places of what the library in the program noted (`native/allocs/files.rs`).

use std::collections::BTreeMap;

use super::capture::{Registers, Sample};
use super::image::{Images, MapLine};
use super::space::{Place, Space, UnwindCache};
use super::symbols::Symbols;
use super::table::Names;
use crate::stacks::report::{AllocSite, Frame};

/// What stands between a program's line and the allocator, by how the names begin.
const PLUMBING: [&str; 20] = [
    "__rust_",
    "__rdl_",
    "__rustc",
    "<alloc::",
    "alloc::",
    "<std::",
    "std::",
    "<core::",
    "core::",
    "operator new",
    "__gnu_cxx::",
    "malloc",
    "calloc",
    "realloc",
    "strdup",
    "__strdup",
    "_Zn",
    "_ZNSt",
    "_ZNKSt",
    "_ZN9__gnu_cxx",
];

/// A context as it was noted: registers and the top of the stack.
pub(crate) struct Context<'a> {
    pub(crate) ip: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    pub(crate) stack: &'a [u8],
}

/// Contexts of several processes, unwound. Files and names are read once for all of them.
#[derive(Default)]
pub(crate) struct Contexts {
    images: Images,
    cache: UnwindCache,
    /// Of each process those of each context, innermost first.
    stacks: Vec<Vec<Vec<Place>>>,
}

impl Contexts {
    /// Adds a process with what was mapped in it.
    pub(crate) fn add<'a>(&mut self, maps: &str, contexts: impl Iterator<Item = Context<'a>>) {
        let mut space = Space::new();
        for line in maps.lines().filter_map(MapLine::parse).filter(|line| line.executable) {
            let image = self.images.id_of(line.path);
            space.map(&self.images, image, line.range, line.offset);
        }
        let mut stack = Vec::new();
        let unwound = contexts.map(|Context { ip, sp, fp, stack: bytes }| {
            let registers = Registers { ip, sp, fp, ..Registers::default() };
            let sample = Sample { registers, stack: bytes, weight: 1, size: 1 };
            space.unwind(&sample, &mut self.cache, &mut stack);
            stack.clone()
        });
        self.stacks.push(unwound.collect());
    }

    /// The place each context is charged to, by process and in their order; its sums mean nothing.
    pub(crate) fn places(self) -> Vec<Vec<Option<AllocSite>>> {
        let names = Names::default();
        let mut symbols = Symbols::new(&self.images, &names);
        let mut known: BTreeMap<&[Place], Option<AllocSite>> = BTreeMap::new();
        let mut site = |stack: &'_ [Place]| {
            let frames: Vec<Frame> =
                stack.iter().flat_map(|place| symbols.frames(*place).to_vec()).collect();
            let first = frames.iter().position(|frame| !is_plumbing(frame)).unwrap_or(0);
            let own = frames.get(first..).unwrap_or_default().to_vec();
            AllocSite::rank(std::iter::once((own, [1; 3]))).into_iter().next()
        };
        let mut places = Vec::new();
        for process in &self.stacks {
            let mut of = |stack| known.entry(stack).or_insert_with(|| site(stack)).clone();
            places.push(process.iter().map(|stack| of(stack.as_slice())).collect());
        }
        places
    }
}

fn is_plumbing(frame: &Frame) -> bool {
    let is_header = |file: &String| file.starts_with("/usr/include/");
    PLUMBING.iter().any(|start| frame.function.starts_with(start))
        || frame.file.as_ref().is_some_and(is_header)
}
