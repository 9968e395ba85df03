//! Functions of a stack, and whose they are.

use serde::{Deserialize, Serialize};

/// Whose code a function is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FrameKind {
    /// The program's own compiled code, also what its JIT has compiled.
    Own,
    /// The program's own Python.
    Python,
    /// Libraries, in any language; the standard library is one.
    Library,
    /// The machinery of a language's interpreter.
    Interpreter,
    /// The kernel.
    Kernel,
    /// Neither code nor known: a process, a part cut off.
    #[default]
    Other,
}

impl FrameKind {
    /// The name in files, as serde writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Python => "python",
            Self::Library => "library",
            Self::Interpreter => "interpreter",
            Self::Kernel => "kernel",
            Self::Other => "other",
        }
    }

    /// Whether it is code of the program, in whatever language.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Own | Self::Python)
    }
}

/// One function of a stack.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::stacks) struct Frame {
    pub(in crate::stacks) function: String,
    pub(in crate::stacks) module: String,
    pub(in crate::stacks) file: Option<String>,
    pub(in crate::stacks) line: Option<u32>,
    pub(in crate::stacks) kind: FrameKind,
    /// Whether it is of a script, whose functions are told by their file.
    pub(in crate::stacks) script: bool,
}

impl Frame {
    /// A frame that is no function.
    pub(in crate::stacks) fn mark(name: impl Into<String>) -> Self {
        Self { function: name.into(), ..Self::default() }
    }
}

/// Whose a compiled function is, from where it comes.
///
/// `module` is the path of the program or library, `file` the source file if that is known.
pub(in crate::stacks) fn kind_of(module: &str, file: Option<&str>, function: &str) -> FrameKind {
    const FOREIGN_FILES: [&str; 6] = [
        "/rustc/",
        "/.cargo/registry/",
        "/.cargo/git/",
        "/rustlib/src/",
        "../sysdeps/",
        "/usr/include/",
    ];
    const FOREIGN_MODULES: [&str; 4] = ["/usr/", "/lib", "/opt/", "/nix/"];
    const STANDARD: [&str; 3] = ["core::", "alloc::", "std::"];
    // What the C library puts into every program.
    const START: [&str; 4] = ["_start", "__libc_start_main", "__libc_csu_init", "_init"];
    let name = module.rsplit('/').next().unwrap_or(module);
    let is_library = name.ends_with(".so") || name.contains(".so.");
    let installed = FOREIGN_MODULES.iter().any(|part| module.starts_with(part))
        || ["/site-packages/", "/dist-packages/", "/lib-dynload/"]
            .iter()
            .any(|part| module.contains(part));
    let foreign_file = file.is_some_and(|f| FOREIGN_FILES.iter().any(|part| f.contains(part)));
    let bare = function.strip_prefix('<').unwrap_or(function);
    match () {
        () if module.is_empty() => FrameKind::Other,
        () if module.starts_with('[') || foreign_file => FrameKind::Library,
        () if is_library && (installed || file.is_none()) => FrameKind::Library,
        // Where a line is known, the file has decided.
        () if file.is_none() && STANDARD.iter().any(|part| bare.starts_with(part)) => {
            FrameKind::Library
        }
        () if START.contains(&function) => FrameKind::Library,
        () => FrameKind::Own,
    }
}

/// A function of a sampled stack, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StackFrame {
    /// The function; of Python with its file, as `inner (train.py)`.
    pub name: String,
    /// Program or library the code is in; of Python the file's whole path. Empty if not known.
    pub module: String,
    /// Whose code it is.
    pub kind: FrameKind,
}

impl From<Frame> for StackFrame {
    fn from(frame: Frame) -> Self {
        let Frame { function, module, file, kind, script, .. } = frame;
        match file.filter(|_| script) {
            Some(file) => Self { name: format!("{function} ({module})"), module: file, kind },
            None => Self { name: function, module, kind },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_belongs_to_whoever_wrote_it() {
        use FrameKind::{Library, Other, Own};
        let cases = [
            ("/home/a/target/app", Some("/home/a/src/main.rs"), "app::main", Own),
            ("/home/a/target/app", Some("/rustc/abc/library/core/src/iter.rs"), "next", Library),
            ("/home/a/target/app", None, "core::iter::next", Library),
            ("/home/a/target/app", None, "<core::iter::Map as X>::next", Library),
            ("/home/a/target/app", None, "step", Own),
            ("/home/a/target/app", None, "_start", Library),
            ("/usr/local/bin/app", Some("/build/app.c"), "main", Own),
            ("/usr/bin/sha256sum", None, "sha256_process", Own),
            ("/usr/lib/libc.so.6", None, "memcpy", Library),
            ("/usr/lib/libz.so.1", Some("/build/zlib/inflate.c"), "inflate", Library),
            ("/home/a/build/libmine.so", Some("/home/a/mine.c"), "work", Own),
            ("/home/a/build/libmine.so", None, "work", Library),
            ("/v/lib/site-packages/np/_core.so", Some("/b/np.c"), "add", Library),
            ("/v/lib/python3.11/lib-dynload/_json.so", Some("/b/_json.c"), "scan", Library),
            ("[vdso]", None, "clock_gettime", Library),
            ("", None, "[unknown]", Other),
        ];
        for (module, file, function, kind) in cases {
            assert_eq!(kind_of(module, file, function), kind, "{module} {file:?} {function}");
        }
    }
}
