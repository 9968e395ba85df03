//! Reading and parsing the kernel's text files under `/proc` and `/sys`, for sensors. Parsers are
//! pure; only [`read`] touches the disk.

use std::path::Path;

use crate::Unavailable;

/// Reads a whole kernel file.
///
/// # Errors
/// Where it cannot be read; the reason names it.
pub fn read(path: impl AsRef<Path>) -> Result<String, Unavailable> {
    let path = path.as_ref();
    std::fs::read_to_string(path)
        .map_err(|e| Unavailable::new(format!("cannot read `{}`: {e}", path.display())))
}

/// A file of the kernel that is read again and again: it stays open, which saves most of the cost.
#[derive(Debug)]
pub struct KeptFile {
    path: &'static str,
    for_writing: bool,
    #[cfg(unix)]
    open: std::sync::OnceLock<(u32, std::fs::File)>,
}

impl KeptFile {
    /// The file at `path`, opened by the first read.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self::of(path, false)
    }

    /// The same, opened by the first [`write`](Self::write), for nothing else.
    #[must_use]
    pub const fn for_writing(path: &'static str) -> Self {
        Self::of(path, true)
    }

    const fn of(path: &'static str, for_writing: bool) -> Self {
        Self {
            path,
            for_writing,
            #[cfg(unix)]
            open: std::sync::OnceLock::new(),
        }
    }

    /// Its path.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Hands the file's present text to `parse`.
    ///
    /// # Errors
    /// Where it cannot be read; the reason names it.
    pub fn read<R>(&self, parse: impl FnOnce(&str) -> R) -> Result<R, Unavailable> {
        /// More than any file read this way holds; a longer one is read whole.
        const ROOM: usize = 4096;
        #[cfg(unix)]
        if let Some(file) = self.kept() {
            use std::os::unix::fs::FileExt;
            let mut buffer = [0u8; ROOM];
            let read = file.read_at(&mut buffer, 0).ok().filter(|n| *n < ROOM);
            if let Some(text) = read.and_then(|n| std::str::from_utf8(&buffer[..n]).ok()) {
                return Ok(parse(text));
            }
        }
        Ok(parse(&read(self.path)?))
    }

    /// Writes to a file made by [`Self::for_writing`].
    ///
    /// # Errors
    /// Where it cannot be written to; the reason names it.
    pub fn write(&self, text: &str) -> Result<(), Unavailable> {
        #[cfg(unix)]
        if let Some(file) = self.kept() {
            use std::os::unix::fs::FileExt;
            if file.write_all_at(text.as_bytes(), 0).is_ok() {
                return Ok(());
            }
        }
        std::fs::write(self.path, text)
            .map_err(|e| Unavailable::new(format!("cannot write `{}`: {e}", self.path)))
    }

    /// The open file; none in a child made by `fork`, where `/proc/self` was opened as its parent.
    #[cfg(unix)]
    fn kept(&self) -> Option<&std::fs::File> {
        let process = std::process::id();
        if self.open.get().is_none() {
            let mut how = std::fs::OpenOptions::new();
            let how = if self.for_writing { how.write(true) } else { how.read(true) };
            let _ = self.open.set((process, how.open(self.path).ok()?));
        }
        self.open.get().filter(|(opener, _)| *opener == process).map(|(_, file)| file)
    }
}

/// The text after `key:` on the line that starts with it.
#[must_use]
pub fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    // Searched for as a whole: to split every line costs several times as much.
    text.match_indices(key).find_map(|(at, _)| {
        let line = &text[text[..at].rfind('\n').map_or(0, |end| end + 1)..];
        let line = &line[..line.find('\n').unwrap_or(line.len())];
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// A `key:   123 kB` line of `text`, in bytes.
#[must_use]
pub fn kib_field(text: &str, key: &str) -> Option<u64> {
    let value = field(text, key)?.strip_suffix("kB")?.trim();
    value.parse::<u64>().ok()?.checked_mul(1024)
}

/// The first `N` numbers of a line.
#[must_use]
pub fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let mut parts = text.split_ascii_whitespace();
    let mut out = [0; N];
    for slot in &mut out {
        *slot = parts.next()?.parse().ok()?;
    }
    Some(out)
}

/// Resident and shared pages of a `/proc/PID/statm` line.
#[must_use]
pub fn resident_and_shared_pages(statm: &str) -> Option<(u64, u64)> {
    let [_size, resident, shared] = numbers(statm)?;
    Some((resident, shared))
}

/// Bytes in a memory page.
#[cfg(unix)]
#[must_use]
pub fn page_bytes() -> u64 {
    // SAFETY: sysconf takes no pointer and has no precondition.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Bytes in a memory page.
#[cfg(not(unix))]
#[must_use]
pub fn page_bytes() -> u64 {
    4096
}

/// Clock ticks in a second of the kernel's accounts.
#[cfg(unix)]
#[must_use]
pub fn ticks_per_s() -> f64 {
    // SAFETY: sysconf takes no pointer and has no precondition.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Clock ticks in a second of the kernel's accounts.
#[cfg(not(unix))]
#[must_use]
pub fn ticks_per_s() -> f64 {
    100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tlob\nVmHWM:\t    1772 kB\nVmRSS:\t 1700 kB\nRssAnon:\t  112 kB\nThreads:\t1\n";

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field(STATUS, "Name"), Some("lob"));
        assert_eq!(field(STATUS, "Threads"), Some("1"));
        assert_eq!(field(STATUS, "Thread"), None);
    }

    #[test]
    fn kib_become_bytes_and_nonsense_becomes_nothing() {
        assert_eq!(kib_field(STATUS, "VmHWM"), Some(1772 * 1024));
        assert_eq!(kib_field(STATUS, "Threads"), None);
        assert_eq!(kib_field("VmHWM:\tmany kB", "VmHWM"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_kept_file_is_read_as_it_is_now() {
        let file = KeptFile::new("/proc/self/stat");
        let utime = |text: &str| text.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
        let first = file.read(utime).unwrap();
        std::hint::black_box(vec![1u8; 8 << 20]);
        assert!(first.is_some() && first != file.read(utime).unwrap());
        let missing = KeptFile::new("/proc/self/no such file").read(str::len);
        assert!(missing.unwrap_err().reason.contains("no such file"));
    }

    #[test]
    fn short_lines_are_refused() {
        assert_eq!(resident_and_shared_pages("765 443 415 5 0 90 0"), Some((443, 415)));
        assert_eq!(resident_and_shared_pages("765 443"), None);
        assert_eq!(resident_and_shared_pages(""), None);
    }
}
