//! Names, files and lines of places, looked up when a profile is taken.

use std::collections::BTreeMap;

use addr2line::Loader;

use super::image::{ImageId, Images};
use super::kernel::Kernel;
use super::space::{KERNEL, NAMED, Place, UNKNOWN};
use super::table::Names;
use crate::stacks::report::{Frame, FrameKind, kind_of};

/// Looks places up, each once. Slow and large: made when a profile is taken, dropped after it.
pub(super) struct Symbols<'a> {
    images: &'a Images,
    names: &'a Names,
    /// Read when the first address of it is met.
    kernel: Option<Kernel>,
    loaders: BTreeMap<ImageId, Option<Loader>>,
    known: BTreeMap<Place, Vec<Frame>>,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(images: &'a Images, names: &'a Names) -> Self {
        Self { images, names, kernel: None, loaders: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// The functions at a place, innermost first: more than one where the compiler inlined.
    /// Never empty.
    pub(super) fn frames(&mut self, place: Place) -> &[Frame] {
        if !self.known.contains_key(&place) {
            let frames = self.look_up(place);
            self.known.insert(place, frames);
        }
        self.known.get(&place).map_or(&[], Vec::as_slice)
    }

    fn look_up(&mut self, (image, svma): Place) -> Vec<Frame> {
        match image {
            UNKNOWN => return vec![Frame::mark("[unknown]")],
            KERNEL => return vec![self.kernel.get_or_insert_with(Kernel::read).frame(svma)],
            NAMED => {
                let frame = self.names.frame(svma).cloned();
                return vec![frame.unwrap_or_else(|| Frame::mark("[unknown]"))];
            }
            _ => {}
        }
        let path = self.images.name(image);
        let module = path.rsplit('/').next().unwrap_or(path).to_owned();
        // The library the kernel maps has no file to load.
        let file = self.images.get(image).filter(|image| image.path.starts_with('/'));
        let is_interpreter = file.is_some_and(|image| image.python.is_some())
            || ["python3", "libpython3"].iter().any(|name| module.starts_with(name));
        let loader =
            self.loaders.entry(image).or_insert_with(|| Loader::new(file?.path_now()).ok());
        let mut frames = Vec::new();
        if let Some(loader) = loader {
            frames = inlined(loader, svma);
            let symbol = loader.find_symbol(svma);
            if frames.is_empty()
                && let Some(symbol) = symbol
            {
                frames.push(Frame { function: demangled(symbol), ..Frame::default() });
            }
        }
        if frames.is_empty() {
            let function = if module.is_empty() { "[unknown]" } else { module.as_str() };
            frames.push(Frame::mark(function));
        }
        for frame in &mut frames {
            frame.kind = kind_of(path, frame.file.as_deref(), &frame.function);
            if is_interpreter {
                frame.kind = FrameKind::Interpreter;
            }
            frame.module.clone_from(&module);
        }
        frames
    }
}

/// What the debug information says of an address; empty without any.
fn inlined(loader: &Loader, svma: u64) -> Vec<Frame> {
    let mut out = Vec::new();
    let Ok(mut frames) = loader.find_frames(svma) else { return out };
    while let Ok(Some(frame)) = frames.next() {
        let name = frame.function.as_ref().and_then(|f| f.demangle().ok().map(|n| plain(&n)));
        // Line tables alone name no function: the symbol table does, for the outermost one.
        let name = name.or_else(|| loader.find_symbol(svma).map(demangled));
        out.push(Frame {
            function: name.unwrap_or_else(|| "[unknown]".to_owned()),
            module: String::new(),
            file: frame.location.as_ref().and_then(|l| l.file).map(str::to_owned),
            line: frame.location.as_ref().and_then(|l| l.line),
            ..Frame::default()
        });
    }
    out
}

fn demangled(symbol: &str) -> String {
    plain(&addr2line::demangle_auto(symbol.into(), None))
}

/// Without the hash that older Rust names end with.
fn plain(name: &str) -> String {
    let is_hash = |tail: &str| {
        tail.len() == 17
            && tail.starts_with('h')
            && tail[1..].bytes().all(|b| b.is_ascii_hexdigit())
    };
    match name.rsplit_once("::") {
        Some((head, tail)) if is_hash(tail) => head.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_compiler_are_made_readable() {
        for (symbol, name) in [
            ("_ZN3app4work17h0123456789abcdefE", "app::work"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN3lab6WalkerIdE4stepEdl", "lab::Walker<double>::step(double, long)"),
            ("_ZN2np10quicksort_I", "_ZN2np10quicksort_I"),
            ("memcpy", "memcpy"),
        ] {
            assert_eq!(demangled(symbol), name);
        }
    }

    #[test]
    fn hashes_are_cut_off() {
        assert_eq!(plain("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(plain("a::b::hello"), "a::b::hello");
        assert_eq!(plain("memcpy"), "memcpy");
    }
}
