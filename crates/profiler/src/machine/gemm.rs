//! A single-precision matrix product on one core.
//!
//! Blocked and packed as in Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication" (2008): panels of B stay in L1, blocks of A in L2, and a register tile of C is
//! updated by rank-1 products. The tile loop is plain Rust over arrays of constant size; the
//! compiler turns it into fused multiply-adds inside the functions that enable them.

use std::hint::black_box;

/// Depth of a packed block.
const KC: usize = 256;
/// Rows of a packed block of A; a multiple of both tile heights, 12 and 6.
const MC: usize = 192;

/// Two square matrices and their product.
pub(super) struct Gemm {
    edge: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    workspace: Workspace,
}

impl Gemm {
    pub(super) fn new(edge: usize) -> Self {
        let value = |i: usize| (i % 17) as f32 * 0.125 - 1.0;
        Self {
            edge,
            a: (0..edge * edge).map(value).collect(),
            b: (0..edge * edge).map(|i| value(i + 5)).collect(),
            c: vec![0.0; edge * edge],
            workspace: Workspace::new(edge),
        }
    }

    /// Floating-point operations of one repetition.
    pub(super) fn flops(&self) -> f64 {
        2.0 * (self.edge as f64).powi(3)
    }

    pub(super) fn run(&mut self, width: Width) {
        let (a, b) = (black_box(&self.a), black_box(&self.b));
        product(width, self.edge, a, b, &mut self.c, &mut self.workspace);
        black_box(&self.c);
    }
}

/// How wide the arithmetic is. On some CPUs 512 bits cost more clock than they bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Avx512,
    Avx2,
    /// What the program is compiled for.
    Plain,
}

impl Width {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2 and FMA",
            Self::Plain => "as compiled",
        }
    }

    /// Those worth trying on this CPU.
    pub(super) fn all() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if has_avx2 && is_x86_feature_detected!("avx512f") {
                return &[Self::Avx512, Self::Avx2];
            }
            if has_avx2 {
                return &[Self::Avx2];
            }
        }
        &[Self::Plain]
    }
}

/// Packed copies of a block of A and a row of panels of B.
struct Workspace {
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Workspace {
    fn new(edge: usize) -> Self {
        Self { a: vec![0.0; MC * KC], b: vec![0.0; KC * (edge + 64)] }
    }
}

/// `c = a b` for row-major matrices of `n` x `n`; the CPU must have the width.
fn product(width: Width, n: usize, a: &[f32], b: &[f32], c: &mut [f32], workspace: &mut Workspace) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `Width::all` lists a width only where the CPU has it.
    unsafe {
        match width {
            Width::Avx512 => return product_avx512(n, a, b, c, workspace),
            Width::Avx2 => return product_avx2(n, a, b, c, workspace),
            Width::Plain => {}
        }
    }
    let _ = width;
    blocked::<6, 8, { cfg!(target_arch = "aarch64") }>(n, a, b, c, workspace);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn product_avx512(n: usize, a: &[f32], b: &[f32], c: &mut [f32], workspace: &mut Workspace) {
    blocked::<12, 32, true>(n, a, b, c, workspace);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn product_avx2(n: usize, a: &[f32], b: &[f32], c: &mut [f32], workspace: &mut Workspace) {
    blocked::<6, 16, true>(n, a, b, c, workspace);
}

/// The loops around the tile. Inlined, so that it is compiled for its caller's instruction set.
#[inline(always)]
fn blocked<const MR: usize, const NR: usize, const FUSED: bool>(
    n: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    workspace: &mut Workspace,
) {
    c.fill(0.0);
    for k0 in (0..n).step_by(KC) {
        let depth = KC.min(n - k0);
        pack_b::<NR>(n, k0, depth, b, &mut workspace.b);
        for i0 in (0..n).step_by(MC) {
            let rows = MC.min(n - i0);
            pack_a::<MR>(n, i0, rows, k0, depth, a, &mut workspace.a);
            for (panel, j) in (0..n).step_by(NR).enumerate() {
                let b_panel = &workspace.b[panel * depth * NR..][..depth * NR];
                for (strip, i) in (0..rows).step_by(MR).enumerate() {
                    let a_strip = &workspace.a[strip * depth * MR..][..depth * MR];
                    let sums = tile::<MR, NR, FUSED>(a_strip, b_panel);
                    let (height, width) = (MR.min(rows - i), NR.min(n - j));
                    for (r, row) in sums.iter().enumerate().take(height) {
                        let out = &mut c[(i0 + i + r) * n + j..][..width];
                        out.iter_mut().zip(row).for_each(|(out, sum)| *out += sum);
                    }
                }
            }
        }
    }
}

/// `MR` x `NR` sums of products, held in registers for the whole depth.
#[inline(always)]
fn tile<const MR: usize, const NR: usize, const FUSED: bool>(
    a: &[f32],
    b: &[f32],
) -> [[f32; NR]; MR] {
    let mut sums = [[0.0f32; NR]; MR];
    let (a, b) = (a.as_chunks::<MR>().0, b.as_chunks::<NR>().0);
    for (a, b) in a.iter().zip(b) {
        for i in 0..MR {
            for j in 0..NR {
                // `mul_add` without the instruction would be a library call.
                sums[i][j] =
                    if FUSED { a[i].mul_add(b[j], sums[i][j]) } else { sums[i][j] + a[i] * b[j] };
            }
        }
    }
    sums
}

/// Panels of `NR` columns, each `depth` rows long, the last one padded with zeros.
#[inline(always)]
fn pack_b<const NR: usize>(n: usize, k0: usize, depth: usize, b: &[f32], out: &mut [f32]) {
    for (panel, j) in (0..n).step_by(NR).enumerate() {
        let width = NR.min(n - j);
        for k in 0..depth {
            let row = &mut out[(panel * depth + k) * NR..][..NR];
            row[..width].copy_from_slice(&b[(k0 + k) * n + j..][..width]);
            row[width..].fill(0.0);
        }
    }
}

/// Strips of `MR` rows, column by column, the last one padded with zeros.
#[inline(always)]
fn pack_a<const MR: usize>(
    n: usize,
    i0: usize,
    rows: usize,
    k0: usize,
    depth: usize,
    a: &[f32],
    out: &mut [f32],
) {
    for (strip, i) in (0..rows).step_by(MR).enumerate() {
        let strip = &mut out[strip * depth * MR..][..depth * MR];
        for r in 0..MR {
            for k in 0..depth {
                strip[k * MR + r] = if i + r < rows { a[(i0 + i + r) * n + k0 + k] } else { 0.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers: every sum is exact in f32 in any order.
    fn matrix(n: usize, seed: usize) -> Vec<f32> {
        (0..n * n).map(|i| ((i * 7 + seed) % 11) as f32 - 5.0).collect()
    }

    fn naive(n: usize, a: &[f32], b: &[f32]) -> Vec<f32> {
        let mut c = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                c[i * n + j] = (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
            }
        }
        c
    }

    fn check(n: usize, multiply: impl Fn(&[f32], &[f32], &mut [f32], &mut Workspace)) {
        let (a, b) = (matrix(n, 1), matrix(n, 4));
        let mut c = vec![f32::NAN; n * n];
        multiply(&a, &b, &mut c, &mut Workspace::new(n));
        let same = c.iter().zip(&naive(n, &a, &b)).all(|(x, y)| x.to_bits() == y.to_bits());
        assert!(same, "edge {n}");
    }

    #[test]
    fn the_blocked_product_is_the_product() {
        for n in [1, 2, 7, 12, 16, 31, 33, 48, 100] {
            for width in Width::all() {
                check(n, |a, b, c, w| product(*width, n, a, b, c, w));
            }
            check(n, |a, b, c, w| blocked::<6, 8, false>(n, a, b, c, w));
            check(n, |a, b, c, w| blocked::<6, 16, true>(n, a, b, c, w));
        }
    }

    #[test]
    fn products_larger_than_a_block_add_their_parts() {
        for width in Width::all() {
            check(KC + 13, |a, b, c, w| product(*width, KC + 13, a, b, c, w));
        }
    }
}
