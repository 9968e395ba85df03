//! An `.npy` file written row by row: its header is known at the end.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lob_depth::npy_header;
use lob_metrics::shown;
use lob_store::Unfinished;

/// A file that gets its name when it is whole. What is dropped before leaves nothing.
pub(super) struct NpyFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    dim: usize,
    rows: usize,
    header_bytes: usize,
    _noted: Unfinished,
}

impl NpyFile {
    /// Begins a file of rows of `dim` numbers.
    pub(super) fn create(path: &Path, dim: usize) -> Result<Self> {
        let name = path.file_name().context("the path names no file")?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let found = std::fs::metadata(path);
        let is_special = found.is_ok_and(|found| !found.is_file() && !found.is_dir());
        ensure!(!is_special, "`{}` is a device or a pipe, no file", shown(path.display()));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder `{}`", shown(folder.display())))?;
        }
        let (_noted, file) = Unfinished::make(&temporary, |path| File::create(path))
            .with_context(|| format!("cannot write `{}`", shown(temporary.display())))?;
        // As long as any header of two sides: it is written over the place that it has here.
        let header = npy_header::<f32>(&[usize::MAX, dim])?;
        let mut file = BufWriter::new(file);
        file.write_all(&header)?;
        let path = path.to_owned();
        Ok(Self { file, temporary, path, dim, rows: 0, header_bytes: header.len(), _noted })
    }

    /// Appends rows.
    pub(super) fn push(&mut self, values: &[f32]) -> Result<()> {
        for value in values {
            self.file.write_all(&value.to_le_bytes())?;
        }
        self.rows += values.len() / self.dim.max(1);
        Ok(())
    }

    /// Writes the header, syncs, and moves the file to its name.
    pub(super) fn finish(mut self) -> Result<()> {
        let header = npy_header::<f32>(&[self.rows, self.dim])?;
        ensure!(
            header.len() == self.header_bytes,
            "a header of {} bytes, not of {}: this is a defect of `lob embed`",
            header.len(),
            self.header_bytes
        );
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| {
            self.file.write_all(&header)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.temporary, &self.path)
        });
        written.with_context(|| format!("cannot write `{}`", shown(self.path.display())))
    }
}

impl Drop for NpyFile {
    fn drop(&mut self) {
        // Gone already where it has its name; hidden, and of this process, where it cannot be
        // removed.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_pieces_are_the_bytes_of_the_whole_array() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/e.npy");
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        let mut file = NpyFile::create(&path, 4).unwrap();
        values.chunks(4).for_each(|row| file.push(row).unwrap());
        file.finish().unwrap();
        let expected = lob_depth::encode_npy(&[3, 4], &values).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        drop(NpyFile::create(&path, 4).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(npy_header::<f32>(&[usize::MAX, 1 << 16]).unwrap().len(), 128);
    }
}
