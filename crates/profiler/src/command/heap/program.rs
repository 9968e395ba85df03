//! Whether a program can have a library put before its others.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use lob_scope::Unavailable;

const SET_USER_OR_GROUP: u32 = 0o6000;
const PT_INTERP: u32 = 3;

/// An error where the loader is known not to load it. What cannot be read is let pass: whether it
/// did shows later.
pub(super) fn check(command: &Command) -> Result<(), Unavailable> {
    let Some(path) = find(command) else { return Ok(()) };
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    // SAFETY: the call has no preconditions.
    let own = unsafe { libc::geteuid() };
    if metadata.mode() & SET_USER_OR_GROUP != 0 && metadata.uid() != own {
        return Err(Unavailable::new(format!(
            "`{}` runs with another user's rights, so the loader gives it no library of ours",
            path.display()
        )));
    }
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(1 << 12).read_to_end(&mut head));
    if read.is_ok() && has_loader(&head) == Some(false) {
        return Err(Unavailable::new(format!(
            "`{}` is linked statically: no library can be put between it and its allocator",
            path.display()
        )));
    }
    Ok(())
}

fn find(command: &Command) -> Option<PathBuf> {
    let program = command.get_program();
    if program.as_bytes().contains(&b'/') {
        let folder = command.get_current_dir().unwrap_or_else(|| "".as_ref());
        return Some(folder.join(program));
    }
    let set = command.get_envs().find(|(name, _)| *name == OsStr::new("PATH"));
    let paths = set.map_or_else(|| std::env::var_os("PATH"), |(_, value)| value.map(Into::into))?;
    std::env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Whether an ELF file of 64 bits names a loader (elf(5)); `None` for anything else.
fn has_loader(head: &[u8]) -> Option<bool> {
    let word = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    // Class of 64 bits, little-endian.
    if head.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(word(32)?).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for n in 0..count {
        if word(table.checked_add(n * size)?)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_a_loader_are_told_from_those_without() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(has_loader(&own), Some(true));
        let launcher = include_bytes!(concat!(env!("OUT_DIR"), "/launch"));
        assert_eq!(has_loader(launcher), Some(false));
        assert_eq!(has_loader(b"#!/bin/sh\n"), None);
        assert_eq!(has_loader(&own[..40]), None);
    }
}
