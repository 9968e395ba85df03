//! Lines that allocate.

use super::frame::Frame;
use super::places::{Places, blamed, place};

/// Where the allocator's hook is written.
const HOOK_FILES: [&str; 3] = [
    "scope/src/alloc.rs",
    "profiler/src/stacks/sampling/capture.rs",
    "profiler/src/stacks/sampling/sites.rs",
];

/// What tracking allocation sites found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllocProfile {
    /// Samples taken.
    pub samples: u64,
    /// Samples that found no room: the figures of the sites are too low by about this share. Take
    /// samples further apart.
    pub lost: u64,
    /// Lines by falling bytes.
    pub sites: Vec<AllocSite>,
}

/// A line that allocates, estimated from samples.
#[derive(Debug, Clone, PartialEq)]
pub struct AllocSite {
    /// Source file as the compiler saw it; `None` without debug information.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Function.
    pub function: String,
    /// Program or library the code is in.
    pub module: String,
    /// Samples the figures rest on.
    pub samples: u64,
    /// Blocks allocated or grown there, estimated.
    pub allocations: u64,
    /// Bytes allocated there, estimated.
    pub bytes: u64,
    /// Share of the bytes of all sites, 0..=1.
    pub share: f64,
}

impl AllocSite {
    /// `FILE:LINE (FUNCTION)`, as much of it as is known.
    #[must_use]
    pub fn place(&self) -> String {
        place(self.file.as_deref(), self.line, &self.function, &self.module)
    }

    /// Sites by falling bytes, from stacks of frames, innermost first, with samples, blocks and
    /// bytes.
    pub(in crate::stacks) fn rank(
        stacks: impl Iterator<Item = (Vec<Frame>, [u64; 3])>,
    ) -> Vec<Self> {
        // The hook itself stands between the caller and the allocator.
        let is_caller = |frame: &Frame| {
            let hook = |file: &String| HOOK_FILES.iter().any(|hook| file.ends_with(hook));
            !frame.file.as_ref().is_some_and(hook) && !frame.function.contains("__rust_")
        };
        let mut sites = Places::new();
        for (frames, counts) in stacks {
            if let Some(frame) = blamed(&frames, is_caller) {
                sites.add(frame, counts, counts[2]);
            }
        }
        let sites = sites.list();
        let all: u64 = sites.iter().map(|(_, [.., bytes])| bytes).sum();
        let site = |(place, counts): (Frame, [u64; 3])| Self {
            file: place.file,
            line: place.line,
            function: place.function,
            module: place.module,
            samples: counts[0],
            allocations: counts[1],
            bytes: counts[2],
            share: counts[2] as f64 / all.max(1) as f64,
        };
        let mut sites: Vec<Self> = sites.into_iter().map(site).collect();
        sites.sort_by_key(|site| std::cmp::Reverse(site.bytes));
        sites
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{FrameKind, kind_of};
    use super::*;

    fn frame(function: &str, file: Option<&str>, line: u32) -> Frame {
        let kind = if file.is_some() { kind_of("/app", file, function) } else { FrameKind::Other };
        Frame {
            function: function.to_owned(),
            module: "app".to_owned(),
            file: file.map(str::to_owned),
            line: file.map(|_| line),
            kind,
            script: false,
        }
    }

    #[test]
    fn the_hook_is_not_the_site() {
        let hook = frame("count_alloc", Some("/p/crates/scope/src/alloc.rs"), 140);
        let caller = frame("app::grow", Some("/home/a/src/work.rs"), 7);
        let stacks = [
            (vec![hook.clone(), caller], [3, 30, 3000]),
            (vec![hook, frame("g", None, 0)], [1, 1, 1000]),
        ];
        let sites = AllocSite::rank(stacks.into_iter());
        assert_eq!((sites[0].line, sites[0].bytes, sites[0].allocations), (Some(7), 3000, 30));
        assert_eq!((sites[1].function.as_str(), sites[1].share), ("g", 0.25));
    }
}
