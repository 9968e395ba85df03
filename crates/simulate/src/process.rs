//! The file system as one process of the machine sees it.

use std::{
    ffi::OsString,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use lob_store::fs::{Entry, FileSystem, OpenFile, OpenMode, SharedFs};

use crate::{
    disk::Node,
    machine::{Ignored, Machine, Op},
};

/// One of so many writes takes less than it is given.
const SHORT_ONE_OF: usize = 16;

#[derive(Debug, Clone)]
struct Process {
    machine: Arc<Machine>,
    id: u64,
}

/// Starts processes on a machine: their ids, and what each sees of the disk.
pub(crate) fn start(machine: &Arc<Machine>, n: usize) -> Vec<(u64, SharedFs)> {
    let process = |id| (id, Arc::new(Process { machine: Arc::clone(machine), id }) as SharedFs);
    machine.admit(n).into_iter().map(process).collect()
}

impl FileSystem for Process {
    fn look(&self, path: &Path) -> io::Result<Option<Entry>> {
        self.machine.enter(self.id, Op::Look, &[path])?.disk.look(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn OpenFile>> {
        let op = if mode == OpenMode::Read { Op::Open } else { Op::Create };
        let mut state = self.machine.enter(self.id, op, &[path])?;
        let node = match (mode, state.disk.find(path)) {
            (OpenMode::CreateNew, Ok(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Create | OpenMode::CreateNew, Err(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                state.disk.make_file(path)
            }
            (_, found) => found,
        }?;
        state.disk.file(node)?;
        Ok(Box::new(Handle { process: self.clone(), node, at: 0 }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.machine.enter(self.id, Op::List, &[folder])?.disk.list(folder)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.machine.enter(self.id, Op::MakeFolder, &[folder])?.disk.make_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.machine.enter(self.id, Op::SyncFolder, &[folder])?;
        if state.ignored == Ignored::Folders {
            return Ok(());
        }
        state.disk.sync_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.machine.enter(self.id, Op::Rename, &[from, to])?.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.machine.enter(self.id, Op::RemoveFile, &[path])?.disk.remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.machine.enter(self.id, Op::RemoveFolder, &[folder])?.disk.remove_folder(folder)
    }
}

/// An open file.
#[derive(Debug)]
struct Handle {
    process: Process,
    node: Node,
    at: usize,
}

impl Handle {
    fn enter(&self, op: Op) -> io::Result<std::sync::MutexGuard<'_, crate::machine::State>> {
        self.process.machine.enter(self.process.id, op, &[])
    }
}

impl Read for Handle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.enter(Op::Read)?;
        let data = &state.disk.file(self.node)?.data;
        let rest = data.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        drop(state);
        self.at += n;
        Ok(n)
    }
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.enter(Op::Write)?;
        let mut n = bytes.len();
        if n > 1 && state.rng.below(SHORT_ONE_OF) == 0 {
            n = 1 + state.rng.below(n - 1);
            state.counts.short_writes += 1;
        }
        state.disk.write(self.node, self.at, &bytes[..n])?;
        drop(state);
        self.at += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(at) => self.at = usize::try_from(at).map_err(io::Error::other)?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(self.at as u64)
    }
}

impl OpenFile for Handle {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.enter(Op::SyncFile)?;
        if state.ignored == Ignored::Files {
            return Ok(());
        }
        state.disk.sync_file(self.node)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.enter(Op::SetLen)?.disk.set_len(self.node, len)
    }

    fn try_lock(&mut self, is_shared: bool) -> io::Result<bool> {
        let id = self.process.id;
        let mut state = self.enter(Op::Lock)?;
        let lock = &mut state.disk.file(self.node)?.lock;
        let is_free = lock.iter().all(|(owner, shared)| *owner == id || (is_shared && *shared));
        if is_free {
            lock.push((id, is_shared));
        }
        Ok(is_free)
    }

    fn is_at(&self, path: &Path) -> bool {
        self.process.machine.lock().disk.find(path).is_ok_and(|node| node == self.node)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.process.machine.lock();
        if let Ok(file) = state.disk.file(self.node) {
            file.lock.retain(|(owner, _)| *owner != self.process.id);
        }
    }
}
