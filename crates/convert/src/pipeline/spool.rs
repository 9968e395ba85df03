//! A temporary file for what waits in order and has no room in memory.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use lob_store::fs::{FileSystem, OpenFile, OpenMode, SharedFs};

use crate::ConvertError;

/// A stretch of bytes in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    offset: u64,
    bytes: usize,
}

/// The temporary file of one input.
#[derive(Debug)]
pub(super) struct Spool {
    fs: SharedFs,
    path: PathBuf,
    file: Option<Box<dyn OpenFile>>,
    end: u64,
}

impl Spool {
    pub(super) fn new(fs: SharedFs, path: PathBuf) -> Self {
        Self { fs, path, file: None, end: 0 }
    }

    #[cfg(test)]
    pub(super) fn on_disk(path: PathBuf) -> Self {
        Self::new(std::sync::Arc::new(lob_store::fs::DiskSystem), path)
    }

    /// Where it lies, and the store too.
    pub(super) fn fs(&self) -> &SharedFs {
        &self.fs
    }

    /// The temporary file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes to the file.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<Block, ConvertError> {
        let file = open(&*self.fs, &mut self.file, &self.path)?;
        file.seek(SeekFrom::Start(self.end))
            .and_then(|_| file.write_all(bytes))
            .map_err(ConvertError::io(&self.path, "write"))?;
        let block = Block { offset: self.end, bytes: bytes.len() };
        self.end += bytes.len() as u64;
        Ok(block)
    }

    /// Reads back what [`put`](Self::put) wrote, into a buffer that is overwritten.
    pub(super) fn get_into(&mut self, block: Block, out: &mut Vec<u8>) -> Result<(), ConvertError> {
        out.resize(block.bytes, 0);
        let file = open(&*self.fs, &mut self.file, &self.path)?;
        file.seek(SeekFrom::Start(block.offset))
            .and_then(|_| file.read_exact(out))
            .map_err(ConvertError::io(&self.path, "read"))
    }

    /// The same into a buffer of its own.
    pub(super) fn get(&mut self, block: Block) -> Result<Vec<u8>, ConvertError> {
        let mut bytes = Vec::new();
        self.get_into(block, &mut bytes).map(|()| bytes)
    }
}

fn open<'a>(
    fs: &dyn FileSystem,
    file: &'a mut Option<Box<dyn OpenFile>>,
    path: &Path,
) -> Result<&'a mut Box<dyn OpenFile>, ConvertError> {
    match file {
        Some(file) => Ok(file),
        none => {
            let opened = fs.open(path, OpenMode::CreateNew);
            Ok(none.insert(opened.map_err(ConvertError::io(path, "create"))?))
        }
    }
}
