/// Freed memory that the allocator may keep.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 512 << 20;

/// Smallest allocation that gets pages of its own, and gives them back when it is freed; the most
/// that glibc accepts.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES_BYTES: libc::c_int = 32 << 20;

/// Lets the allocator keep freed memory for the next allocation of this process.
///
/// Work that allocates and frees the same large buffers again and again, such as a training step,
/// otherwise pays for fresh pages every time. Returns whether the allocator took the hint; only
/// glibc's does.
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers and locks the allocator while it sets them.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES) == 1
                && libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES_BYTES) == 1
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_takes_the_hint() {
        assert_eq!(keep_freed_memory(), cfg!(all(target_os = "linux", target_env = "gnu")));
    }
}
