//! The memory batches lie in.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use memmap2::MmapMut;

use crate::LoaderError;

/// Memory that holds one batch.
pub trait StagingBuffer: fmt::Debug + Send + Sync {
    /// Its bytes; the same place for as long as it lives.
    fn bytes(&self) -> &[u8];
    /// Its bytes, to write to.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// Where the memory of batches comes from.
///
/// A backend that copies batches to a device implements this with its driver's host allocator
/// (`cudaHostAlloc`, say): batches are then rendered straight into pinned memory. Buffers are
/// recycled, so a loader asks for as many as it makes ahead and the consumer holds, once.
pub trait Staging: fmt::Debug + Send + Sync {
    /// Memory of at least `n_bytes`, aligned to four bytes or more.
    ///
    /// # Errors
    /// There is none to be had.
    fn allocate(&self, n_bytes: usize) -> io::Result<Box<dyn StagingBuffer>>;
}

/// Whole pages from the operating system, given back as soon as they are dropped.
///
/// Locked pages stay in physical memory. That is the half of pinning that needs no device: a CUDA
/// driver still has to be told of them (`cudaHostRegister`), which page-aligned buffers that keep
/// their place are made for.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageStaging {
    /// Lock the pages (`mlock`); needs a sufficient `RLIMIT_MEMLOCK`.
    pub lock: bool,
}

impl Staging for PageStaging {
    fn allocate(&self, n_bytes: usize) -> io::Result<Box<dyn StagingBuffer>> {
        let map = MmapMut::map_anon(n_bytes.max(1))?;
        #[cfg(unix)]
        if self.lock {
            map.lock()?;
        }
        #[cfg(not(unix))]
        if self.lock {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        Ok(Box::new(Pages(map)))
    }
}

#[derive(Debug)]
struct Pages(MmapMut);

impl StagingBuffer for Pages {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Buffers that wait for their next batch. Fresh memory of this size would be mapped and zeroed
/// page by page each time, which costs more than rendering into it.
#[derive(Debug)]
pub(super) struct Pool {
    staging: Box<dyn Staging>,
    /// The last one given back is the first one taken: it is most likely to be in the cache.
    idle: Mutex<Vec<Box<dyn StagingBuffer>>>,
    capacity: usize,
    buffer_bytes: usize,
    allocated: AtomicU64,
}

impl Pool {
    /// Keeps at most `capacity` idle buffers of `buffer_bytes`.
    pub(super) fn new(staging: Box<dyn Staging>, capacity: usize, buffer_bytes: usize) -> Self {
        let (idle, allocated) = (Mutex::default(), AtomicU64::new(0));
        Self { staging, idle, capacity, buffer_bytes, allocated }
    }

    /// Buffers made since the start.
    pub(super) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// A buffer with any content.
    pub(super) fn take(self: &Arc<Self>) -> Result<Buffer, LoaderError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = idle.map_or_else(|| self.allocate(), Ok)?;
        Ok(Buffer { memory: Some(memory), pool: Arc::clone(self) })
    }

    fn allocate(&self) -> Result<Box<dyn StagingBuffer>, LoaderError> {
        let n_bytes = self.buffer_bytes;
        let failed = |source| LoaderError::Staging { n_bytes, source };
        let buffer = self.staging.allocate(n_bytes).map_err(failed)?;
        let bytes = buffer.bytes();
        let is_aligned = bytes.as_ptr().addr().is_multiple_of(align_of::<f32>());
        if bytes.len() < n_bytes || !is_aligned {
            let unfit = format!("`{}` bytes at `{:p}`", bytes.len(), bytes.as_ptr());
            return Err(failed(io::Error::other(unfit)));
        }
        self.allocated.fetch_add(1, Ordering::Relaxed);
        Ok(buffer)
    }
}

/// The memory of one batch. It returns to its loader when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    /// Taken out only when the buffer is dropped.
    memory: Option<Box<dyn StagingBuffer>>,
    pool: Arc<Pool>,
}

impl Buffer {
    /// Its bytes: at least as many as the maker said a batch has.
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| memory.bytes())
    }

    /// Its bytes, to write to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().map_or(&mut [], |memory| memory.bytes_mut())
    }

    /// The first `n` single-precision numbers in it.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn values(&self, n: usize) -> &[f32] {
        // The pool has checked the alignment.
        bytemuck::cast_slice(&self.bytes()[..n * size_of::<f32>()])
    }

    /// The same, to write to.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn values_mut(&mut self, n: usize) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.bytes_mut()[..n * size_of::<f32>()])
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One too many, after the consumer held several: it is freed.
        if idle.len() < self.pool.capacity {
            idle.push(memory);
        }
    }
}
