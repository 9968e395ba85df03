//! Names of the kernel's functions (`/proc/kallsyms`).

use lob_scope::procfs;

use crate::stacks::report::{Frame, FrameKind};

/// What every function of the kernel's begins with in a stack.
const MARK: &str = "[kernel]";

/// The kernel's functions by address.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    /// By rising address.
    functions: Vec<(u64, String)>,
}

impl Kernel {
    /// As the kernel tells this process: without addresses where it hides them.
    pub(super) fn read() -> Self {
        procfs::read("/proc/kallsyms").map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let function = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok().filter(|at| *at != 0)?;
            let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
            is_code.then_some(())?;
            Some((address, words.next()?.to_owned()))
        };
        let mut functions: Vec<(u64, String)> = text.lines().filter_map(function).collect();
        // Of several names of one place the first one stays.
        functions.sort_by_key(|(address, _)| *address);
        functions.dedup_by_key(|(address, _)| *address);
        Self { functions }
    }

    pub(super) fn frame(&self, address: u64) -> Frame {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let name = after.checked_sub(1).and_then(|at| self.functions.get(at));
        let name = name.map_or_else(|| MARK.to_owned(), |(_, name)| format!("{MARK} {name}"));
        Frame { module: "kernel".to_owned(), kind: FrameKind::Kernel, ..Frame::mark(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_named_by_the_function_before_them() {
        let text = "ffffffff81000100 T vfs_read\nffffffff81000000 T _text\n\
                    ffffffff81000100 t alias\nffffffff81000180 D data\nffffffffc0000000 t f [mod]\n";
        let kernel = Kernel::parse(text);
        assert_eq!(kernel.frame(0xffff_ffff_8100_01ff).function, "[kernel] vfs_read");
        assert_eq!(kernel.frame(0xffff_ffff_c000_0001).function, "[kernel] f");
        assert_eq!(kernel.frame(5).function, "[kernel]");
        let hidden = Kernel::parse("0000000000000000 T vfs_read\n");
        assert_eq!(hidden.frame(0xffff_ffff_8100_01ff).function, "[kernel]");
    }
}
