//! Which words of a stretch of stack may be addresses of code: a quick look at many at a time.

/// Words looked at in one call.
pub(crate) const CHUNK: usize = 32;

/// Two stretches of addresses, each from its start to its end.
pub(crate) type Boxes = [[usize; 2]; 2];

/// A bit for each word that lies in one of the boxes.
///
/// # Safety
/// `words` words at `from`, at most [`CHUNK`], can be read. `is_wide` is [`is_wide`]'s answer.
pub(crate) unsafe fn near(from: *const usize, words: usize, boxes: &Boxes, is_wide: bool) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if is_wide && words == CHUNK {
        // SAFETY: as promised by the caller.
        return unsafe { near_wide(from, boxes) };
    }
    let _ = is_wide;
    let mut near = 0;
    for n in 0..words {
        // SAFETY: as promised by the caller.
        let word = unsafe { *from.add(n) };
        let is_near = |ends: &[usize; 2]| word.wrapping_sub(ends[0]) < ends[1] - ends[0];
        near |= u32::from(is_near(&boxes[0]) | is_near(&boxes[1])) << n;
    }
    near
}

/// Four words at a time. Addresses of programs are positive as signed numbers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn near_wide(from: *const usize, boxes: &Boxes) -> u32 {
    use core::arch::x86_64::{
        _mm256_and_si256, _mm256_castsi256_pd, _mm256_cmpgt_epi64, _mm256_loadu_si256,
        _mm256_movemask_pd, _mm256_or_si256, _mm256_set1_epi64x,
    };
    let below = boxes.map(|ends| _mm256_set1_epi64x(ends[0] as i64 - 1));
    let end = boxes.map(|ends| _mm256_set1_epi64x(ends[1] as i64));
    let mut near = 0;
    for n in (0..CHUNK).step_by(4) {
        // SAFETY: as promised by the caller.
        let words = unsafe { _mm256_loadu_si256(from.add(n).cast()) };
        let within = |n: usize| {
            let (above, under) =
                (_mm256_cmpgt_epi64(words, below[n]), _mm256_cmpgt_epi64(end[n], words));
            _mm256_and_si256(above, under)
        };
        let either = _mm256_or_si256(within(0), within(1));
        near |= (_mm256_movemask_pd(_mm256_castsi256_pd(either)) as u32) << n;
    }
    near
}

/// Whether the CPU and the system have AVX2 (Intel's manual, volume 1, section 14.7.1).
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_wide() -> bool {
    use core::arch::asm;
    use core::arch::x86_64::__cpuid_count;
    const OSXSAVE: u32 = 1 << 27;
    const AVX2: u32 = 1 << 5;
    const XMM_AND_YMM: u32 = 6;
    if __cpuid_count(0, 0).eax < 7 || __cpuid_count(1, 0).ecx & OSXSAVE == 0 {
        return false;
    }
    let saved: u32;
    // SAFETY: the system has switched the instruction on.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") saved, out("edx") _) };
    saved & XMM_AND_YMM == XMM_AND_YMM && __cpuid_count(7, 0).ebx & AVX2 != 0
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_wide() -> bool {
    false
}
