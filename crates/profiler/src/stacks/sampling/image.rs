//! Binaries and libraries as files: the tables for unwinding, and where each part is loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{Deref, Range};
use std::sync::Arc;

use framehop::ExplicitModuleSectionInfo;
use memmap2::Mmap;
use object::elf::PF_X;
use object::{Object, ObjectSection, ObjectSegment, SegmentFlags};

/// Number of an image in [`Images`].
pub(super) type ImageId = u32;

/// Name the kernel gives the library it maps into every process.
const VDSO: &str = "[vdso]";

/// Part of a file in memory.
#[derive(Clone)]
pub(super) struct Bytes {
    data: Arc<Data>,
    range: Range<usize>,
}

enum Data {
    File(Mmap),
    Copy(Vec<u8>),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(map) => map,
            Self::Copy(bytes) => bytes,
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.data.bytes().get(self.range.clone()).unwrap_or_default()
    }
}

/// One executable part of a file, extended down to the page its mapping begins with.
struct Segment {
    file: Range<u64>,
    svma: u64,
}

/// A binary or library.
pub(super) struct Image {
    pub(super) path: String,
    segments: Vec<Segment>,
    sections: ExplicitModuleSectionInfo<Bytes>,
}

impl Image {
    /// The address the file gives to the byte at `offset` of an executable part.
    pub(super) fn svma_of_offset(&self, offset: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|s| s.file.contains(&offset))?;
        Some(offset - segment.file.start + segment.svma)
    }

    pub(super) fn sections(&self) -> ExplicitModuleSectionInfo<Bytes> {
        self.sections.clone()
    }

    fn parse(path: &str, data: Data) -> Option<Self> {
        let data = Arc::new(data);
        let file = object::File::parse(data.bytes()).ok()?;
        let page_bytes = lob_scope::procfs::page_bytes().max(4096);
        let segment = |segment: object::Segment<'_, '_>| {
            let SegmentFlags::Elf { p_flags, .. } = segment.flags() else { return None };
            let (start, size) = segment.file_range();
            let below = segment.address() % page_bytes;
            (p_flags & PF_X != 0).then(|| Segment {
                file: start.saturating_sub(below)..start.saturating_add(size),
                svma: segment.address() - below,
            })
        };
        let bytes = |name: &str| {
            let section = file.section_by_name(name)?;
            let (start, size) = section.file_range()?;
            let start = usize::try_from(start).ok()?;
            let range = start..start.checked_add(usize::try_from(size).ok()?)?;
            data.bytes().get(range.clone())?;
            Some(Bytes { data: Arc::clone(&data), range })
        };
        let address = |name: &str| {
            let section = file.section_by_name(name)?;
            Some(section.address()..section.address().saturating_add(section.size()))
        };
        let sections = ExplicitModuleSectionInfo {
            base_svma: 0,
            text_svma: address(".text"),
            text: bytes(".text"),
            got_svma: address(".got"),
            eh_frame_svma: address(".eh_frame"),
            eh_frame: bytes(".eh_frame"),
            eh_frame_hdr_svma: address(".eh_frame_hdr"),
            eh_frame_hdr: bytes(".eh_frame_hdr"),
            debug_frame: bytes(".debug_frame"),
            stubs_svma: None,
            stub_helper_svma: None,
            unwind_info: None,
            text_segment_svma: None,
            text_segment: None,
        };
        let segments = file.segments().filter_map(segment).collect();
        Some(Self { path: path.to_owned(), segments, sections })
    }
}

/// Every image met, read once.
#[derive(Default)]
pub(super) struct Images {
    ids: BTreeMap<String, ImageId>,
    list: Vec<Option<Image>>,
    names: Vec<String>,
}

impl Images {
    /// The number of a path; the file is read at the first call.
    pub(super) fn id_of(&mut self, path: &str) -> ImageId {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        let id = ImageId::try_from(self.list.len()).unwrap_or(ImageId::MAX);
        self.list.push(load(path));
        self.names.push(path.to_owned());
        self.ids.insert(path.to_owned(), id);
        id
    }

    /// The image, where the file could be read.
    pub(super) fn get(&self, id: ImageId) -> Option<&Image> {
        self.list.get(id as usize)?.as_ref()
    }

    pub(super) fn name(&self, id: ImageId) -> &str {
        self.names.get(id as usize).map_or("", String::as_str)
    }
}

fn load(path: &str) -> Option<Image> {
    if path == VDSO {
        return Image::parse(path, Data::Copy(own_vdso()?));
    }
    if !path.starts_with('/') {
        return None;
    }
    let file = File::open(path).ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file()))?;
    // SAFETY: the file is a program or library in use; the kernel keeps one that runs from being
    // written to, and packagers replace libraries by renaming, which leaves this map as it is.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    Image::parse(path, Data::File(map))
}

/// The kernel maps one and the same library into every process, so this process's will do.
fn own_vdso() -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let maps = lob_scope::procfs::read("/proc/self/maps").ok()?;
    let vdso = maps.lines().filter_map(MapLine::parse).find(|line| line.path == VDSO)?;
    let mut bytes = vec![0; usize::try_from(vdso.range.end - vdso.range.start).ok()?];
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut bytes, vdso.range.start).ok()?;
    Some(bytes)
}

/// A line of `/proc/PID/maps` (proc_pid_maps(5)).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MapLine<'a> {
    pub(super) range: Range<u64>,
    pub(super) executable: bool,
    pub(super) offset: u64,
    pub(super) path: &'a str,
}

impl<'a> MapLine<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let (word, tail) = rest.trim_start().split_once(' ')?;
            rest = tail;
            Some(word)
        };
        let (from, to) = word()?.split_once('-')?;
        let (rights, offset, _device, _inode) = (word()?, word()?, word()?, word()?);
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        Some(Self {
            range: hex(from)?..hex(to)?,
            executable: rights.contains('x'),
            offset: hex(offset)?,
            path: rest.trim(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let line = "55d0c1a2b000-55d0c1b00000 r-xp 0000b000 fd:00 1234    /a path/with spaces";
        let expected = MapLine {
            range: 0x55d0_c1a2_b000..0x55d0_c1b0_0000,
            executable: true,
            offset: 0xb000,
            path: "/a path/with spaces",
        };
        assert_eq!(MapLine::parse(line), Some(expected));
        let bare = MapLine::parse("7f00-7f10 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!((bare.path, bare.executable), ("", false));
        assert_eq!(MapLine::parse("nonsense"), None);
    }

    #[test]
    fn the_own_binary_has_unwind_tables() {
        let mut images = Images::default();
        let path = std::env::current_exe().unwrap();
        let id = images.id_of(path.to_str().unwrap());
        let image = images.get(id).unwrap();
        assert!(image.sections().eh_frame.is_some_and(|bytes| bytes.len() > 1000));
        let text = image.segments.first().unwrap();
        assert_eq!(image.svma_of_offset(text.file.start + 5), Some(text.svma + 5));
        assert_eq!((text.svma % 4096, text.file.start % 4096), (0, 0), "mapped by pages");
        assert_eq!(images.id_of(path.to_str().unwrap()), id);
        let none = images.id_of("/no/such/file");
        assert!(images.get(none).is_none() && images.name(none) == "/no/such/file");
    }
}
