//! What lies on the disk, what the system has in its memory, and what of it a crash leaves.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::{Component, Path, PathBuf},
};

use lob_metrics::stats::SplitMix64;
use lob_store::fs::{Entry, EntryKind};

use crate::counts::Counts;

/// Bytes that reach the disk together.
const SECTOR_BYTES: usize = 512;

/// Number of a file or a folder.
pub(crate) type Node = usize;

/// A change of a file that is in the system's memory only.
#[derive(Debug, Clone)]
enum Change {
    Bytes { at: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Processes that hold its lock, and whether they share it.
    pub(crate) lock: Vec<(u64, bool)>,
}

/// What became of a name; in order of time for one name.
#[derive(Debug, Clone)]
struct Naming {
    name: OsString,
    to: Option<Node>,
    /// For the end of a name by a rename: the folder and the name it was given.
    renamed_to: Option<(Node, OsString)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) names: BTreeMap<OsString, Node>,
    durable: BTreeMap<OsString, Node>,
    pending: Vec<Naming>,
}

#[derive(Debug, Clone)]
enum Content {
    File(File),
    Folder(Folder),
}

/// How much of what was not synced a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mercy {
    Nothing,
    Everything,
    /// Names without the content of files: what systems do that write the two apart.
    NamesOnly,
    Some,
}

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    nodes: Vec<Content>,
}

impl Disk {
    /// An empty disk; node 0 is its root.
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Content::Folder(Folder::default())] }
    }

    pub(crate) fn file(&mut self, node: Node) -> io::Result<&mut File> {
        match self.nodes.get_mut(node) {
            Some(Content::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn folder(&mut self, node: Node) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(node) {
            Some(Content::Folder(folder)) => Ok(folder),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn find(&self, path: &Path) -> io::Result<Node> {
        let mut at = 0;
        for part in path.components() {
            let name = match part {
                Component::RootDir => continue,
                Component::Normal(name) => name,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            };
            let Content::Folder(folder) = &self.nodes[at] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            at = *folder.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Node, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name))
    }

    pub(crate) fn look(&self, path: &Path) -> io::Result<Option<Entry>> {
        let node = match self.find(path) {
            Ok(node) => node,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(match &self.nodes[node] {
            Content::File(file) => Entry { kind: EntryKind::File, len: file.data.len() as u64 },
            Content::Folder(_) => Entry { kind: EntryKind::Folder, len: 0 },
        }))
    }

    fn name(&mut self, folder: Node, name: &OsStr, to: Option<Node>) -> io::Result<()> {
        let folder = self.folder(folder)?;
        match to {
            Some(node) => drop(folder.names.insert(name.to_owned(), node)),
            None => drop(folder.names.remove(name)),
        }
        folder.pending.push(Naming { name: name.to_owned(), to, renamed_to: None });
        Ok(())
    }

    fn make(&mut self, path: &Path, content: Content) -> io::Result<Node> {
        let (folder, name) = self.parent(path)?;
        if self.folder(folder)?.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(content);
        let node = self.nodes.len() - 1;
        self.name(folder, name, Some(node))?;
        Ok(node)
    }

    pub(crate) fn make_file(&mut self, path: &Path) -> io::Result<Node> {
        self.make(path, Content::File(File::default()))
    }

    pub(crate) fn make_folder(&mut self, path: &Path) -> io::Result<()> {
        self.make(path, Content::Folder(Folder::default())).map(drop)
    }

    pub(crate) fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        let node = self.find(path)?;
        Ok(self.folder(node)?.names.keys().cloned().collect())
    }

    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        self.file(node)?;
        let (folder, name) = self.parent(path)?;
        self.name(folder, name, None)
    }

    pub(crate) fn remove_folder(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if !self.folder(node)?.names.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = self.parent(path)?;
        self.name(folder, name, None)
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        self.file(node)?;
        let ((old_folder, old), (folder, name)) = (self.parent(from)?, self.parent(to)?);
        if let Some(&there) = self.folder(folder)?.names.get(name) {
            self.file(there)?;
        }
        self.name(folder, name, Some(node))?;
        self.name(old_folder, old, None)?;
        if let Some(last) = self.folder(old_folder)?.pending.last_mut() {
            last.renamed_to = Some((folder, name.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, node: Node, at: usize, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(node)?;
        write_at(&mut file.data, at, bytes);
        file.pending.push(Change::Bytes { at, bytes: bytes.to_owned() });
        Ok(())
    }

    pub(crate) fn set_len(&mut self, node: Node, len: usize) -> io::Result<()> {
        let file = self.file(node)?;
        file.data.resize(len, 0);
        file.pending.push(Change::Len(len));
        Ok(())
    }

    pub(crate) fn sync_file(&mut self, node: Node) -> io::Result<()> {
        let file = self.file(node)?;
        file.durable.clone_from(&file.data);
        file.pending.clear();
        Ok(())
    }

    pub(crate) fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        let folder = self.folder(node)?;
        folder.durable.clone_from(&folder.names);
        folder.pending.clear();
        Ok(())
    }

    /// All files below a folder, with their content.
    pub(crate) fn files(&self, root: &Path) -> BTreeMap<PathBuf, &[u8]> {
        let mut found = BTreeMap::new();
        let mut open: Vec<_> =
            self.find(root).ok().map(|node| (PathBuf::new(), node)).into_iter().collect();
        while let Some((path, node)) = open.pop() {
            match &self.nodes[node] {
                Content::File(file) => drop(found.insert(path, &*file.data)),
                Content::Folder(folder) => {
                    open.extend(folder.names.iter().map(|(name, node)| (path.join(name), *node)));
                }
            }
        }
        found
    }

    /// Gives back the locks of a process.
    pub(crate) fn unlock(&mut self, is_of: impl Fn(u64) -> bool) {
        for node in &mut self.nodes {
            if let Content::File(file) = node {
                file.lock.retain(|(owner, _)| !is_of(*owner));
            }
        }
    }

    /// Forgets what was not synced, as far as chance has it.
    pub(crate) fn crash(&mut self, rng: &mut SplitMix64, counts: &mut Counts) {
        self.unlock(|_| true);
        let mercy = match rng.below(8) {
            0 | 1 => Mercy::Nothing,
            2 => Mercy::Everything,
            3 => Mercy::NamesOnly,
            _ => Mercy::Some,
        };
        for node in &mut self.nodes {
            if let Content::File(file) = node {
                file.crash(mercy, rng, counts);
            }
        }
        self.crash_names(mercy, rng, counts);
    }

    /// Of each name, what it was at some time since its folder was synced. A rename may be seen
    /// under its new name, under its old one or under both, but a file is never lost by it.
    fn crash_names(&mut self, mercy: Mercy, rng: &mut SplitMix64, counts: &mut Counts) {
        // How many of the changes of each name reach the disk.
        let mut reached: BTreeMap<(Node, OsString), usize> = BTreeMap::new();
        let mut all: BTreeMap<(Node, OsString), Vec<Naming>> = BTreeMap::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let Content::Folder(folder) = node else { continue };
            for change in folder.pending.drain(..) {
                all.entry((at, change.name.clone())).or_default().push(change);
            }
        }
        for (name, changes) in &all {
            let n = match mercy {
                Mercy::Nothing => 0,
                Mercy::Everything | Mercy::NamesOnly => changes.len(),
                Mercy::Some => rng.below(changes.len() + 1),
            };
            reached.insert(name.clone(), n);
        }
        loop {
            let mut is_settled = true;
            for (name, changes) in &all {
                let gone = changes[..reached[name]].iter().filter_map(|c| c.renamed_to.clone());
                for target in gone {
                    // Where the new name was synced there is nothing pending for it.
                    let Some(later) = all.get(&target) else { continue };
                    if reached[&target] < later.len() {
                        reached.insert(target, later.len());
                        is_settled = false;
                    }
                }
            }
            if is_settled {
                break;
            }
        }
        for ((node, name), changes) in all {
            let n = reached[&(node, name.clone())];
            let lost = &changes[n..];
            counts.lost_renames += lost.iter().filter(|c| c.renamed_to.is_some()).count() as u64;
            counts.lost_names += lost.len() as u64;
            let Content::Folder(folder) = &mut self.nodes[node] else { continue };
            match changes[..n].last().map(|change| change.to) {
                Some(Some(to)) => drop(folder.durable.insert(name, to)),
                Some(None) => drop(folder.durable.remove(&name)),
                None => {}
            }
        }
        for node in &mut self.nodes {
            if let Content::Folder(folder) = node {
                folder.names.clone_from(&folder.durable);
            }
        }
    }
}

impl File {
    /// Each write reaches the disk or not, whatever became of the ones before it, or in part.
    fn crash(&mut self, mercy: Mercy, rng: &mut SplitMix64, counts: &mut Counts) {
        for change in std::mem::take(&mut self.pending) {
            let fate = match mercy {
                Mercy::Nothing | Mercy::NamesOnly => 0,
                Mercy::Everything => 1,
                Mercy::Some => rng.below(3),
            };
            match (fate, change) {
                (0, _) => counts.lost_writes += 1,
                (1, Change::Bytes { at, bytes }) => write_at(&mut self.durable, at, &bytes),
                (_, Change::Len(len)) => self.durable.resize(len, 0),
                (_, Change::Bytes { at, bytes }) => {
                    counts.torn_writes += 1;
                    let kept = rng.below(bytes.len().max(1));
                    // Small writes tear anywhere, which no disk does and no reader should need.
                    let kept =
                        if kept > SECTOR_BYTES { kept / SECTOR_BYTES * SECTOR_BYTES } else { kept };
                    write_at(&mut self.durable, at, &bytes[..kept]);
                }
            }
        }
        self.data.clone_from(&self.durable);
    }
}

fn write_at(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if data.len() < end {
        data.resize(end, 0);
    }
    data[at..end].copy_from_slice(bytes);
}
