//! Binaries and libraries as files: the tables for unwinding, and where each part is loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::{Deref, Range};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use framehop::ExplicitModuleSectionInfo;
use memmap2::Mmap;
use object::elf::PF_X;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags};

use super::python::Symbols as PythonSymbols;
use super::records::FileId;

/// Number of an image in [`Images`].
pub(super) type ImageId = u32;

/// Name the kernel gives the library it maps into every process.
const VDSO: &str = "[vdso]";
/// Files kept open, to find the names in them though another file has taken their place.
const MAX_OPEN: usize = 256;

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
    /// The file itself, while not too many are open.
    file: Option<File>,
    /// Where CPython is in it, if it is.
    pub(super) python: Option<PythonSymbols>,
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

    /// A path under which the very file that was mapped can be opened.
    pub(super) fn path_now(&self) -> PathBuf {
        let identity = |m: std::fs::Metadata| (m.dev(), m.ino());
        match &self.file {
            Some(file)
                if file.metadata().ok().map(identity)
                    != std::fs::metadata(&self.path).ok().map(identity) =>
            {
                PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
            }
            _ => PathBuf::from(&self.path),
        }
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
        let python = python_symbols(path, &file);
        Some(Self { path: path.to_owned(), segments, sections, file: None, python })
    }
}

/// Where CPython's state and its loop are, in a file that may hold it.
fn python_symbols(path: &str, file: &object::File<'_>) -> Option<PythonSymbols> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let named = name.contains("python");
    if !named && name.contains(".so") {
        return None;
    }
    let mut found = PythonSymbols::default();
    // Programs without the name may still have it inside; then it is exported.
    let listed = named.then(|| file.symbols()).into_iter().flatten();
    for symbol in file.dynamic_symbols().chain(listed) {
        match symbol.name() {
            Ok("_PyRuntime") => found.runtime = symbol.address(),
            Ok("Py_Version") => found.version = Some(symbol.address()),
            Ok(name) if name.starts_with("_PyEval_EvalFrameDefault") && symbol.size() > 0 => {
                let range = symbol.address()..symbol.address().saturating_add(symbol.size());
                if !found.eval.contains(&range) {
                    found.eval.push(range);
                }
            }
            _ => {}
        }
    }
    (found.runtime != 0 && !found.eval.is_empty()).then_some(found)
}

/// Where a mapping was seen: what finds the file that was mapped.
pub(super) struct Origin<'a> {
    pub(super) pid: u32,
    pub(super) range: &'a Range<u64>,
    pub(super) id: &'a FileId,
}

/// Every image met, read once.
#[derive(Default)]
pub(super) struct Images {
    ids: BTreeMap<(String, Option<FileId>), ImageId>,
    list: Vec<Option<Image>>,
    names: Vec<String>,
    /// Files that were not found as they were mapped.
    pub(super) notes: BTreeSet<String>,
}

impl Images {
    /// The number of a path of this process; the file is read at the first call.
    pub(super) fn id_of(&mut self, path: &str) -> ImageId {
        self.known(path, None, |_| load(path, Path::new(path)))
    }

    /// The number of a file mapped into another process, which may see other files under the same
    /// path and may have outlived its own.
    pub(super) fn id_of_mapped(&mut self, path: &str, origin: &Origin<'_>) -> ImageId {
        self.known(path, Some(origin.id.clone()), |notes| {
            if path == VDSO || !is_file(path) {
                return load(path, Path::new(path));
            }
            find(path, origin).map_err(|why| notes.insert(why)).ok()
        })
    }

    fn known(
        &mut self,
        path: &str,
        id: Option<FileId>,
        load: impl FnOnce(&mut BTreeSet<String>) -> Option<Image>,
    ) -> ImageId {
        let key = (path.to_owned(), id);
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = ImageId::try_from(self.list.len()).unwrap_or(ImageId::MAX);
        let mut image = load(&mut self.notes);
        if self.list.len() >= MAX_OPEN
            && let Some(image) = &mut image
        {
            image.file = None;
        }
        self.list.push(image);
        self.names.push(path.to_owned());
        self.ids.insert(key, id);
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

/// Whether a mapping of this name is of a file, and not of memory.
pub(super) fn is_file(path: &str) -> bool {
    let memory = ["//anon", "/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage"];
    path.starts_with('/') && !memory.iter().any(|name| path.starts_with(name))
}

/// The file that was mapped, or why it is not there any more.
fn find(path: &str, origin: &Origin<'_>) -> Result<Image, String> {
    let proc = PathBuf::from(format!("/proc/{}", origin.pid));
    let range = format!("{:x}-{:x}", origin.range.start, origin.range.end);
    let (mut opened, mut damaged) = (false, false);
    // As the process sees it, if it still runs; as this process sees it; and what it has open.
    let places = [
        proc.join("root").join(path.trim_start_matches('/')),
        PathBuf::from(path),
        proc.join("map_files").join(range),
        proc.join("exe"),
    ];
    for place in places {
        let Ok(file) = File::open(&place) else { continue };
        if !file.metadata().is_ok_and(|m| m.is_file()) {
            continue;
        }
        // What the process runs is only the file that is sought if it bears its marks.
        let sure = place.ends_with("exe");
        opened |= !sure;
        if is_same(&file, origin.id, sure) {
            match open(path, file) {
                Some(image) => return Ok(image),
                None => damaged = true,
            }
        }
    }
    let what = match (damaged, opened, origin.id) {
        (true, ..) => "is no program or library that can be read",
        (_, true, FileId::Build(_)) => "was replaced since it started: build ids differ",
        (_, true, FileId::Inode { .. }) => "was replaced since it started: it is another file",
        _ => "was deleted since it started, or cannot be read",
    };
    Err(format!("no names of functions in {path}: the file {what}"))
}

/// Whether a file is the one with this identity. Numbers of file systems are not always what the
/// kernel says of a mapping (overlays, subvolumes): then only `sure` asks for them.
fn is_same(file: &File, id: &FileId, sure: bool) -> bool {
    match id {
        FileId::Build(id) => {
            // SAFETY: as in `open`.
            let Ok(map) = (unsafe { Mmap::map(file) }) else { return false };
            let Ok(object) = object::File::parse(&*map) else { return false };
            matches!(object.build_id(), Ok(Some(found)) if found.get(..id.len()) == Some(id))
        }
        FileId::Inode { major, minor, inode } => {
            let Ok(found) = file.metadata() else { return false };
            let device = libc::makedev(*major, *minor);
            found.ino() == *inode || (!sure && found.dev() != device)
        }
    }
}

fn load(path: &str, at: &Path) -> Option<Image> {
    if path == VDSO {
        return Image::parse(path, Data::Copy(own_vdso()?));
    }
    if !path.starts_with('/') {
        return None;
    }
    open(path, File::open(at).ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file()))?)
}

fn open(path: &str, file: File) -> Option<Image> {
    // SAFETY: the file is a program or library in use; the kernel keeps one that runs from being
    // written to, and packagers replace libraries by renaming, which leaves this map as it is.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let image = Image::parse(path, Data::File(map))?;
    Some(Image { file: Some(file), ..image })
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
    pub(super) id: FileId,
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
        let (rights, offset, device, inode) = (word()?, word()?, word()?, word()?);
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let (major, minor) = device.split_once(':')?;
        let (major, minor) = (number(major)?, number(minor)?);
        Some(Self {
            range: hex(from)?..hex(to)?,
            executable: rights.contains('x'),
            offset: hex(offset)?,
            id: FileId::Inode { major, minor, inode: inode.parse().ok()? },
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
            id: FileId::Inode { major: 0xfd, minor: 0, inode: 1234 },
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

    #[test]
    fn a_file_that_was_replaced_gives_no_names_and_says_why() {
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let found = std::fs::metadata(own).unwrap();
        let (major, minor) = (libc::major(found.dev()), libc::minor(found.dev()));
        let same = FileId::Inode { major, minor, inode: found.ino() };
        let other = FileId::Inode { major, minor, inode: found.ino() + 1 };
        // No process has this number, so that only the path is left.
        let mut images = Images::default();
        let mut of = |path: &str, id: &FileId| {
            let origin = Origin { pid: u32::MAX, range: &(0..4096), id };
            let id = images.id_of_mapped(path, &origin);
            images.get(id).is_some()
        };
        assert!(of(own, &same) && !of(own, &other) && !of("/no/such/file", &same));
        assert!(!of(own, &FileId::Build(vec![1; 20])) && !of("//anon", &same));
        let why: Vec<&str> =
            images.notes.iter().map(|n| n.rsplit_once(": the file ").unwrap().1).collect();
        assert_eq!(images.notes.len(), 3, "{why:?}");
        for text in ["build ids differ", "it is another file", "was deleted since it started"] {
            assert!(images.notes.iter().any(|note| note.contains(text)), "{text}: {why:?}");
        }
    }
}
