//! The address space of one process: what is mapped where, and unwinding in it.

use std::ops::Range;

use framehop::{Module, Unwinder as _};

use super::capture::{Registers, Sample};
use super::image::{Bytes, ImageId, Images, MapLine, is_file};

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{CacheAarch64, UnwindRegsAarch64, UnwinderAarch64 as Unwinder};
#[cfg(target_arch = "x86_64")]
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64 as Unwinder};

/// Unwinding rules already worked out, by address.
#[cfg(target_arch = "aarch64")]
pub(super) type UnwindCache = CacheAarch64;
#[cfg(target_arch = "x86_64")]
pub(super) type UnwindCache = CacheX86_64;

/// Frames kept of one stack.
const MAX_FRAMES: usize = 256;

/// A place in the code: an image and the address its file gives to it. The same in every process
/// and every run.
pub(super) type Place = (ImageId, u64);

/// "Nothing known is mapped there."
pub(super) const UNKNOWN: ImageId = ImageId::MAX;
/// The kernel; the address is the one it runs at.
pub(super) const KERNEL: ImageId = ImageId::MAX - 1;
/// No code but a name: the address is a number in [`super::table::Names`].
pub(super) const NAMED: ImageId = ImageId::MAX - 2;

#[derive(Debug, Clone)]
struct Mapping {
    start: u64,
    end: u64,
    /// Difference between addresses in memory and in the file.
    bias: u64,
    image: ImageId,
}

/// What is mapped executable in a process.
#[derive(Clone)]
pub(super) struct Space {
    mappings: Vec<Mapping>,
    unwinder: Unwinder<Bytes>,
}

impl Space {
    pub(super) fn new() -> Self {
        Self { mappings: Vec::new(), unwinder: Unwinder::new() }
    }

    /// The calling process as it is now.
    pub(super) fn own(images: &mut Images) -> Self {
        let mut space = Self::new();
        let maps = lob_scope::procfs::read("/proc/self/maps").unwrap_or_default();
        for line in maps.lines().filter_map(MapLine::parse).filter(|line| line.executable) {
            let image = images.id_of(line.path);
            space.map(images, image, line.range, line.offset);
        }
        space
    }

    /// Notes that part of an image was mapped, over whatever was there. Returns the difference
    /// between addresses in memory and in the file, where there is a file.
    pub(super) fn map(
        &mut self,
        images: &Images,
        image: ImageId,
        Range { start, end }: Range<u64>,
        offset: u64,
    ) -> Option<u64> {
        let unwinder = &mut self.unwinder;
        self.mappings.retain(|m| {
            let stays = m.end <= start || end <= m.start;
            if !stays {
                unwinder.remove_module(m.start);
            }
            stays
        });
        let Some(file) = images.get(image) else {
            let name = images.name(image);
            // Memory that code was written to has no name here: its compiler may have told it.
            let (image, bias) = if is_file(name) || name.starts_with('[') {
                (image, start.wrapping_sub(offset))
            } else {
                (UNKNOWN, 0)
            };
            self.mappings.push(Mapping { start, end, bias, image });
            return None;
        };
        let bias = start.wrapping_sub(file.svma_of_offset(offset)?);
        let path = images.name(image).to_owned();
        self.unwinder.add_module(Module::new(path, start..end, bias, file.sections()));
        self.mappings.push(Mapping { start, end, bias, image });
        Some(bias)
    }

    /// Whether some image is mapped at the address.
    pub(super) fn knows(&self, address: u64) -> bool {
        self.place(address).0 != UNKNOWN
    }

    fn place(&self, address: u64) -> Place {
        let mapping = self.mappings.iter().find(|m| (m.start..m.end).contains(&address));
        mapping.map_or((UNKNOWN, address), |m| (m.image, address.wrapping_sub(m.bias)))
    }

    /// The stack of a sample, innermost first. Returns whether it goes all the way to the
    /// outermost frame.
    pub(super) fn unwind(
        &self,
        sample: &Sample<'_>,
        cache: &mut UnwindCache,
        places: &mut Vec<Place>,
    ) -> bool {
        places.clear();
        let sp = sample.registers.sp;
        let mut read = |address: u64| {
            let offset = address.checked_sub(sp).and_then(|n| usize::try_from(n).ok()).ok_or(())?;
            let word = sample.stack.get(offset..).and_then(|rest| rest.first_chunk::<8>());
            word.map(|bytes| u64::from_ne_bytes(*bytes)).ok_or(())
        };
        let registers = unwind_registers(sample.registers, self.unwinder.max_known_code_address());
        let mut frames =
            self.unwinder.iter_frames(sample.registers.ip, registers, cache, &mut read);
        while places.len() < MAX_FRAMES {
            match frames.next() {
                Ok(Some(frame)) => places.push(self.place(frame.address_for_lookup())),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}

#[cfg(target_arch = "x86_64")]
fn unwind_registers(registers: Registers, _highest: u64) -> UnwindRegsX86_64 {
    UnwindRegsX86_64::new(registers.ip, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn unwind_registers(registers: Registers, highest: u64) -> UnwindRegsAarch64 {
    // Return addresses may carry a signature above the bits an address needs.
    let mask = framehop::aarch64::PtrAuthMask::from_max_known_address(highest);
    UnwindRegsAarch64::new_with_ptr_auth_mask(mask, registers.lr, registers.sp, registers.fp)
}
