use lob_depth::Dtype;

use super::staging::Buffer;

/// One batch. Its buffer returns to the loader when it is dropped.
#[derive(Debug)]
pub struct Batch {
    /// Number of samples.
    pub n: usize,
    /// Windows of this batch that were left out: none of their bins has a bid and an ask.
    pub skipped: usize,
    /// Class of each sample.
    pub labels: Vec<Option<i32>>,
    /// Price movement of each sample.
    pub movements: Vec<Option<f64>>,
    /// Index of each sample in the data set.
    pub indices: Vec<u64>,
    pub(super) dtype: Dtype,
    /// Bytes of the images in the buffer.
    pub(super) n_bytes: usize,
    pub(super) buffer: Buffer,
}

/// The images of a batch in their number format. Half-precision numbers are given as their bits.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Cells<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision, bits.
    F16(&'a [u16]),
    /// bfloat16, bits.
    Bf16(&'a [u16]),
    /// Eight bits: 128 + 127 x.
    U8(&'a [u8]),
}

impl Batch {
    /// The images one after the other, `n × features × 402 × bins`, in one recycled buffer.
    ///
    /// # Panics
    /// If the loader's format is not `f32`: [`cells`](Self::cells) has all formats.
    pub fn images(&self) -> &[f32] {
        match self.cells() {
            Cells::F32(images) => images,
            _ => panic!("these images are `{}`, not `f32`: see `Batch::cells`", self.dtype),
        }
    }

    /// The images one after the other, in the format of [`LoaderConfig::dtype`](crate::LoaderConfig).
    pub fn cells(&self) -> Cells<'_> {
        let bytes = self.bytes();
        // The pool has checked that its buffers are aligned for any of them.
        match self.dtype {
            Dtype::F32 => Cells::F32(bytemuck::cast_slice(bytes)),
            Dtype::F16 => Cells::F16(bytemuck::cast_slice(bytes)),
            Dtype::Bf16 => Cells::Bf16(bytemuck::cast_slice(bytes)),
            Dtype::U8 => Cells::U8(bytes),
        }
    }

    /// The images as bytes: what is copied to a device.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.bytes()[..self.n_bytes]
    }
}
