use std::{fmt, fs, io, path::Path, time::SystemTime};

/// Length and modification time of a file: another one means another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// By path, not by handle: a store may have more files than a process may have handles.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        // Some file systems keep no time; the length must do there.
        Ok(Self { len: found.len(), modified: found.modified().ok() })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` bytes", self.len)?;
        let since = self.modified.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(Ok(()), |t| write!(f, " of `{}.{:09}`", t.as_secs(), t.subsec_nanos()))
    }
}
