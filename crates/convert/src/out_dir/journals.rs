//! The journals of a store: one for runs alone, one for each named writer.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use lob_store::fs::{self, DiskSystem, EntryKind, FileSystem, OpenMode, SharedFs};

use crate::{
    ConvertError,
    config::Writer,
    journal::{self, JournalLine},
    summary::InputOutcome,
};

const JOURNAL_NAME: &str = ".loblab-journal.jsonl";
/// Folder of the journals and locks of named writers.
const FOLDER_NAME: &str = ".loblab-journals";

/// Where the journals and locks of named writers lie.
///
/// # Errors
/// Something else than a folder stands there, or the file system refuses.
pub(super) fn folder(fs: &dyn FileSystem, root: &Path) -> Result<PathBuf, ConvertError> {
    let folder = root.join(FOLDER_NAME);
    match fs.look(&folder).map_err(ConvertError::io(&folder, "look at"))?.map(|f| f.kind) {
        None | Some(EntryKind::Folder) => Ok(folder),
        Some(EntryKind::Link) => Err(sidecar(&folder, "a symbolic link, which is not followed")),
        Some(_) => Err(sidecar(&folder, "a file")),
    }
}

fn sidecar(path: &Path, found: &str) -> ConvertError {
    let reason = format!("it is {found}; expected the folder of the journals, or nothing");
    ConvertError::Sidecar { path: path.to_owned(), reason }
}

/// All journals of a store that exist, in path order.
///
/// # Errors
/// A folder cannot be listed.
fn paths(fs: &dyn FileSystem, root: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    let folder = folder(fs, root)?;
    let mut paths = Vec::new();
    match fs.list(&folder) {
        Ok(names) => {
            let all = names.into_iter().map(|name| folder.join(name));
            paths.extend(all.filter(|path| path.extension() == Some(OsStr::new("jsonl"))));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ConvertError::io(&folder, "list")(error)),
    }
    paths.sort();
    let alone = root.join(JOURNAL_NAME);
    if fs.look(&alone).map_err(ConvertError::io(&alone, "look at"))?.is_some() {
        paths.insert(0, alone);
    }
    Ok(paths)
}

/// The bytes of a journal, made durable if asked for; `None` if there is none.
///
/// # Errors
/// It cannot be read, or is not a regular file.
fn bytes(
    fs: &dyn FileSystem,
    path: &Path,
    is_synced: bool,
) -> Result<Option<Vec<u8>>, ConvertError> {
    let mut bytes = Vec::new();
    let read = fs.open(path, OpenMode::Read).and_then(|mut file| {
        file.read_to_end(&mut bytes)?;
        if is_synced { file.sync() } else { Ok(()) }
    });
    match read {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConvertError::io(path, "read")(error)),
    }
}

/// All journals of a store on the machine's disk, with their bytes.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn on_disk(root: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, ConvertError> {
    let all = paths(&DiskSystem, root)?.into_iter();
    let read = all.map(|path| Ok(bytes(&DiskSystem, &path, false)?.map(|bytes| (path, bytes))));
    read.filter_map(Result::transpose).collect()
}

/// The journal a run writes, and what all it has read says.
#[derive(Debug)]
pub(super) struct Journals {
    fs: SharedFs,
    own: PathBuf,
    /// Length before this run; `None` if there was no journal.
    len_before: Option<u64>,
    /// Length of the whole lines now: what a killed run or a full disk left of one does not count.
    len: u64,
    is_changed: bool,
    pub(super) lines: Vec<JournalLine>,
    /// Where in `lines` the last about each content is.
    by_content: HashMap<String, usize>,
    sizes: HashSet<u64>,
    /// Where in `lines` the last of the own journal about each source is.
    own_last: HashMap<String, usize>,
}

impl Journals {
    /// Reads what a writer must know: every journal, or for one of the many tasks of a cluster
    /// only its own and that of runs alone. What was read is durable: a run that was killed may
    /// have left it in the system's memory only, and this one rests on it.
    ///
    /// # Errors
    /// A journal cannot be read or holds something else.
    pub(super) fn read(
        fs: &SharedFs,
        root: &Path,
        writer: Option<&Writer>,
    ) -> Result<Self, ConvertError> {
        let alone = root.join(JOURNAL_NAME);
        let own = match writer {
            None => alone.clone(),
            Some(writer) => folder(&**fs, root)?.join(format!("{}.jsonl", writer.name())),
        };
        let others = match writer {
            Some(Writer::Named(_)) => vec![alone],
            _ => paths(&**fs, root)?,
        };
        let mut read = Self {
            fs: SharedFs::clone(fs),
            own,
            len_before: None,
            len: 0,
            is_changed: false,
            lines: Vec::new(),
            by_content: HashMap::new(),
            sizes: HashSet::new(),
            own_last: HashMap::new(),
        };
        let mut folders = BTreeSet::new();
        for path in others.iter().filter(|path| **path != read.own).chain([&read.own.clone()]) {
            let Some(bytes) = bytes(&**fs, path, true)? else { continue };
            folders.insert(fs::parent(path).to_owned());
            let (lines, whole_bytes) = journal::parse(path, &bytes)?;
            if *path == read.own {
                (read.len_before, read.len) = (Some(whole_bytes), whole_bytes);
                let sources = lines.iter().map(|line| line.outcome.input.source());
                read.own_last = sources.zip(read.lines.len()..).collect();
            }
            read.lines.extend(lines);
        }
        for folder in folders {
            read.sync_names(&folder)?;
        }
        for (at, line) in read.lines.iter().enumerate() {
            let input = &line.outcome.input;
            read.sizes.insert(input.bytes);
            read.by_content.extend(input.content().map(|content| (content.to_owned(), at)));
        }
        Ok(read)
    }

    /// Whether an input of this size is noted.
    pub(super) fn has_size(&self, bytes: u64) -> bool {
        self.sizes.contains(&bytes)
    }

    /// The last that is noted of an input with this content.
    pub(super) fn of_content(&self, content: &str) -> Option<&InputOutcome> {
        self.by_content.get(content).map(|&at| &self.lines[at].outcome)
    }

    pub(super) fn check_settings(
        &self,
        root: &Path,
        fingerprint: &str,
    ) -> Result<(), ConvertError> {
        match self.lines.iter().find(|line| line.settings != fingerprint) {
            None => Ok(()),
            Some(line) => Err(ConvertError::OtherSettings {
                path: root.to_owned(),
                found: line.settings.clone(),
                expected: fingerprint.to_owned(),
            }),
        }
    }

    /// Notes a line durably, unless it is the last about its source already.
    pub(super) fn append(&mut self, line: &JournalLine) -> Result<(), ConvertError> {
        let source = line.outcome.input.source();
        if self.own_last.get(&source).is_some_and(|&at| self.lines[at] == *line) {
            return Ok(());
        }
        let text = line.to_text(&self.own)?;
        let is_first = !std::mem::replace(&mut self.is_changed, true);
        let write = || {
            let mut file = self.fs.open(&self.own, OpenMode::Create)?;
            if self.fs.look(&self.own)?.is_some_and(|found| found.len != self.len) {
                // What was cut off must not come back behind a shorter line.
                file.set_len(self.len)?;
                file.sync()?;
            }
            file.seek(SeekFrom::Start(self.len))?;
            file.write_all(text.as_bytes())?;
            file.sync()
        };
        write().map_err(ConvertError::io(&self.own, "write"))?;
        if is_first || self.len == 0 {
            self.sync_names(fs::parent(&self.own))?;
        }
        self.len += text.len() as u64;
        self.own_last.remove(&source);
        Ok(())
    }

    /// Makes the names of journals in a folder last, and the folder itself.
    fn sync_names(&self, folder: &Path) -> Result<(), ConvertError> {
        for folder in [folder, fs::parent(folder)] {
            self.fs.sync_folder(folder).map_err(ConvertError::io(folder, "sync"))?;
        }
        Ok(())
    }

    /// Takes back what this run has noted.
    ///
    /// # Errors
    /// The file system refuses; nothing is lost then, as a journal may name files that are missing.
    pub(super) fn roll_back(&self) -> Result<(), ConvertError> {
        if !self.is_changed {
            return Ok(());
        }
        let undo = || match self.len_before {
            None => {
                if self.fs.look(&self.own)?.is_some() {
                    self.fs.remove_file(&self.own)?;
                }
                self.fs.sync_folder(fs::parent(&self.own))
            }
            Some(len) => {
                let mut file = self.fs.open(&self.own, OpenMode::Create)?;
                file.set_len(len)?;
                file.sync()
            }
        };
        undo().map_err(ConvertError::io(&self.own, "take back the lines of this run in"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::summary::InputSummary;

    fn line(n: usize) -> JournalLine {
        let outcome = InputOutcome {
            input: InputSummary {
                path: format!("{n}.dbn").into(),
                sha256: Some(format!("{n:064}")),
                records: 1,
                bytes: n as u64,
                schema: "mbp-10".to_owned(),
                updates: 1,
                ..InputSummary::default()
            },
            ..InputOutcome::default()
        };
        JournalLine::new("settings", outcome)
    }

    /// The disk, and how many bytes are read from it.
    #[derive(Debug, Default)]
    struct Counting {
        reads: Arc<AtomicU64>,
    }

    #[derive(Debug)]
    struct CountingFile {
        file: Box<dyn fs::OpenFile>,
        reads: Arc<AtomicU64>,
    }

    impl io::Read for CountingFile {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.file.read(buf)?;
            self.reads.fetch_add(n as u64, Ordering::Relaxed);
            Ok(n)
        }
    }

    impl io::Write for CountingFile {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.file.write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl io::Seek for CountingFile {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.file.seek(to)
        }
    }

    impl fs::OpenFile for CountingFile {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn set_len(&mut self, len: u64) -> io::Result<()> {
            self.file.set_len(len)
        }
        fn try_lock(&mut self, is_shared: bool) -> io::Result<bool> {
            self.file.try_lock(is_shared)
        }
        fn is_at(&self, path: &Path) -> bool {
            self.file.is_at(path)
        }
    }

    impl FileSystem for Counting {
        fn look(&self, path: &Path) -> io::Result<Option<fs::Entry>> {
            DiskSystem.look(path)
        }
        fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn fs::OpenFile>> {
            let (file, reads) = (DiskSystem.open(path, mode)?, Arc::clone(&self.reads));
            Ok(Box::new(CountingFile { file, reads }))
        }
        fn list(&self, folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
            DiskSystem.list(folder)
        }
        fn make_folder(&self, folder: &Path) -> io::Result<()> {
            DiskSystem.make_folder(folder)
        }
        fn sync_folder(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            DiskSystem.rename(from, to)
        }
        fn remove_file(&self, path: &Path) -> io::Result<()> {
            DiskSystem.remove_file(path)
        }
        fn remove_folder(&self, folder: &Path) -> io::Result<()> {
            DiskSystem.remove_folder(folder)
        }
    }

    /// A journal of 1 MB is read once, whatever is looked up in it and appended to it.
    #[test]
    fn bytes_read_do_not_grow_with_lookups_and_lines() {
        let root = tempfile::tempdir().unwrap();
        let counting = Arc::new(Counting::default());
        let fs: SharedFs = Arc::<Counting>::clone(&counting);
        let text = line(0).to_text(root.path()).unwrap();
        let n = (1 << 20) / text.len();
        let all: String = (0..n).map(|i| line(i).to_text(root.path()).unwrap()).collect();
        let path = root.path().join(JOURNAL_NAME);
        std::fs::write(&path, &all).unwrap();
        let mut journals = Journals::read(&fs, root.path(), None).unwrap();
        for i in 0..2 * n {
            let sha256 = format!("{i:064}");
            assert_eq!(journals.has_size(i as u64), i < n);
            assert_eq!(journals.of_content(&sha256).is_some(), i < n);
            journals.append(&line(i)).unwrap();
        }
        assert_eq!(counting.reads.load(Ordering::Relaxed), all.len() as u64);
        let text = std::fs::read(&path).unwrap();
        assert_eq!(journal::parse(&path, &text).unwrap().0.len(), 2 * n);
        journals.roll_back().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), all.as_bytes());
    }

    #[test]
    fn a_line_that_a_crash_cut_anywhere_is_left_out() {
        let mut odd = line(1);
        odd.outcome.input.path = "données.dbn".into();
        let path = Path::new("journal");
        let (first, second) = (line(0).to_text(path).unwrap(), odd.to_text(path).unwrap());
        for cut in 0..second.len() {
            // Ended early, or begun late: the start did not reach the disk, or the middle.
            let short = [first.as_bytes(), &second.as_bytes()[..cut]].concat();
            let mut holes = [first.as_bytes(), second.as_bytes()].concat();
            holes[first.len()..first.len() + cut].fill(0);
            let mut hole = [first.as_bytes(), second.as_bytes()].concat();
            hole[first.len() + cut] = 0;
            for (bytes, n) in [(short, 1), (holes, if cut == 0 { 2 } else { 1 }), (hole, 1)] {
                let (lines, whole) = journal::parse(path, &bytes).unwrap();
                assert_eq!(lines.len(), n, "cut at {cut}");
                let expected = if n == 2 { bytes.len() } else { first.len() };
                assert_eq!(whole, expected as u64);
            }
        }
        // In front of a whole line it is damage.
        let mut bytes = [first.as_bytes(), second.as_bytes()].concat();
        bytes[3] = 0;
        assert!(journal::parse(path, &bytes).is_err());
    }
}
