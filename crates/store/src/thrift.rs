//! The part of Thrift's compact protocol that page headers and offset indexes use.

/// Wire types of the compact protocol.
mod wire {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const STRUCT: u8 = 12;
}

/// Structs inside structs: our own go two deep, footers of others nine.
const MAX_DEPTH: u32 = 16;

/// Reads compact-protocol bytes; `None` means that they are malformed or end too early.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    last_field: i16,
}

/// A field's number and wire type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) id: i16,
    wire: u8,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, last_field: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned LEB128 number of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.i64()?).ok()
    }

    /// A field that must be an i32.
    pub(crate) fn i32_field(&mut self, field: Field) -> Option<i32> {
        (field.wire == wire::I32).then(|| self.i32())?
    }

    /// A field that must be an i64.
    pub(crate) fn i64_field(&mut self, field: Field) -> Option<i64> {
        (field.wire == wire::I64).then(|| self.i64())?
    }

    /// A field that must be a boolean: its value is its wire type.
    pub(crate) fn bool_field(field: Field) -> Option<bool> {
        match field.wire {
            wire::TRUE => Some(true),
            wire::FALSE => Some(false),
            _ => None,
        }
    }

    /// The next field of the struct being read; `Some(None)` at its end.
    pub(crate) fn field(&mut self) -> Option<Option<Field>> {
        let head = self.byte()?;
        if head == wire::STOP {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.i64()?).ok()?,
            delta => self.last_field.checked_add(i16::from(delta))?,
        };
        self.last_field = id;
        Some(Some(Field { id, wire: head & 0x0f }))
    }

    /// Reads a struct: `each` is called for every field and must consume it.
    pub(crate) fn structure(
        &mut self,
        mut each: impl FnMut(&mut Self, Field) -> Option<()>,
    ) -> Option<()> {
        let outer = std::mem::take(&mut self.last_field);
        while let Some(field) = self.field()? {
            each(self, field)?;
        }
        self.last_field = outer;
        Some(())
    }

    /// A field that must be a struct.
    pub(crate) fn struct_field(
        &mut self,
        field: Field,
        each: impl FnMut(&mut Self, Field) -> Option<()>,
    ) -> Option<()> {
        (field.wire == wire::STRUCT).then(|| self.structure(each))?
    }

    /// The length of a field that must be a list of structs.
    pub(crate) fn struct_list(&mut self, field: Field) -> Option<usize> {
        if field.wire != wire::LIST {
            return None;
        }
        let (element, n) = self.list_head()?;
        (element == wire::STRUCT).then_some(n)
    }

    fn list_head(&mut self) -> Option<(u8, usize)> {
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            n => usize::from(n),
        };
        // Every element takes at least one byte: a longer list cannot be real.
        (n <= self.bytes.len() - self.at).then_some((head & 0x0f, n))
    }

    /// Passes over a field.
    pub(crate) fn skip(&mut self, field: Field) -> Option<()> {
        self.skip_wire(field.wire, MAX_DEPTH, false)
    }

    fn skip_wire(&mut self, wire: u8, depth: u32, in_list: bool) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match wire {
            // A boolean field has its value in its type; in a list it takes a byte.
            wire::TRUE | wire::FALSE if !in_list => {}
            wire::TRUE | wire::FALSE | wire::BYTE => drop(self.byte()?),
            wire::I16 | wire::I32 | wire::I64 => drop(self.varint()?),
            wire::DOUBLE => self.advance(8)?,
            wire::BINARY => {
                let n = usize::try_from(self.varint()?).ok()?;
                self.advance(n)?;
            }
            wire::LIST | wire::SET => {
                let (element, n) = self.list_head()?;
                for _ in 0..n {
                    self.skip_wire(element, depth, true)?;
                }
            }
            wire::STRUCT => {
                let outer = std::mem::take(&mut self.last_field);
                while let Some(field) = self.field()? {
                    self.skip_wire(field.wire, depth, false)?;
                }
                self.last_field = outer;
            }
            _ => return None,
        }
        Some(())
    }

    fn advance(&mut self, n: usize) -> Option<()> {
        let at = self.at.checked_add(n)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }
}

/// Writes compact-protocol structs.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    last_field: u8,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7f) as u8);
    }

    fn head(&mut self, id: u8, wire: u8) {
        // Our structs have fewer than 16 fields, in ascending order: the delta always fits.
        self.bytes.push((id - self.last_field) << 4 | wire);
        self.last_field = id;
    }

    pub(crate) fn i32(&mut self, id: u8, value: i32) {
        self.head(id, wire::I32);
        let value = i64::from(value);
        self.varint((value << 1 ^ value >> 63).cast_unsigned());
    }

    pub(crate) fn bool(&mut self, id: u8, value: bool) {
        self.head(id, if value { wire::TRUE } else { wire::FALSE });
    }

    /// A field that is a struct, filled by `fill`.
    pub(crate) fn structure(&mut self, id: u8, fill: impl FnOnce(&mut Self)) {
        self.head(id, wire::STRUCT);
        let outer = std::mem::take(&mut self.last_field);
        fill(self);
        self.stop();
        self.last_field = outer;
    }

    pub(crate) fn stop(&mut self) {
        self.bytes.push(wire::STOP);
    }
}
