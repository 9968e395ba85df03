//! Names, files and lines of places, looked up when a profile is taken.

use std::collections::BTreeMap;

use addr2line::Loader;

use super::image::{ImageId, Images};
use super::space::{Place, UNKNOWN};
use crate::stacks::report::Frame;

/// Looks places up, each once. Slow and large: made when a profile is taken, dropped after it.
pub(super) struct Symbols<'a> {
    images: &'a Images,
    loaders: BTreeMap<ImageId, Option<Loader>>,
    known: BTreeMap<Place, Vec<Frame>>,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(images: &'a Images) -> Self {
        Self { images, loaders: BTreeMap::new(), known: BTreeMap::new() }
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
        if image == UNKNOWN {
            return vec![Frame { function: "[unknown]".to_owned(), ..Frame::default() }];
        }
        let path = self.images.name(image);
        let module = path.rsplit('/').next().unwrap_or(path).to_owned();
        // The library the kernel maps has no file to load.
        let has_file = self.images.get(image).is_some_and(|image| image.path.starts_with('/'));
        let loader = self
            .loaders
            .entry(image)
            .or_insert_with(|| has_file.then(|| Loader::new(path).ok()).flatten());
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
            let function = if module.is_empty() { "[unknown]".into() } else { module.clone() };
            frames.push(Frame { function, ..Frame::default() });
        }
        for frame in &mut frames {
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
    fn hashes_are_cut_off() {
        assert_eq!(plain("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(plain("a::b::hello"), "a::b::hello");
        assert_eq!(plain("memcpy"), "memcpy");
    }
}
