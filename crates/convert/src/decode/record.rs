//! What a record header may say.

use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ErrorMsg, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg,
    Metadata, OhlcvMsg, RType, StatMsg, StatusMsg, SymbolMappingMsg, SystemMsg, TradeMsg, rtype,
    v1, v2,
};

use super::BookSchema;

/// Bytes a capture time adds to each record of a live stream.
const TS_OUT_BYTES: usize = 8;

/// A record by its header alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// Ten levels, of the right length.
    Mbp10,
    /// One order, of the right length.
    Mbo,
    /// Prices of another schema, of the right length: does not belong into a file of books.
    Market,
    /// Mappings, status, definitions and the like, which may accompany any schema; of the right
    /// length.
    Other,
    /// No record at all: an unknown type or a length that contradicts it.
    Damaged,
}

/// The lengths of the records of one stream. They follow from each record's type, from the DBN
/// version, and from whether every record ends in its send time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordLengths {
    version: u8,
    ts_out: bool,
}

impl RecordLengths {
    /// Those of the stream behind this header.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { version: metadata.version, ts_out: metadata.ts_out }
    }

    fn extra(self) -> usize {
        if self.ts_out { TS_OUT_BYTES } else { 0 }
    }

    /// Classifies a header.
    #[inline]
    pub(crate) fn classify(self, rtype: u8, bytes: usize) -> RecordKind {
        match rtype {
            rtype::MBP_10 if bytes == size_of::<Mbp10Msg>() + self.extra() => RecordKind::Mbp10,
            rtype::MBO if bytes == size_of::<MboMsg>() + self.extra() => RecordKind::Mbo,
            rtype::MBP_10 | rtype::MBO => RecordKind::Damaged,
            _ => self.classify_other(rtype, bytes),
        }
    }

    #[cold]
    fn classify_other(self, rtype: u8, bytes: usize) -> RecordKind {
        if self.bytes_of(rtype) != Some(bytes) {
            RecordKind::Damaged
        } else if is_companion(rtype) {
            RecordKind::Other
        } else {
            RecordKind::Market
        }
    }

    /// The length of a record of this type, its send time included; `None` for a type that this
    /// version does not have.
    pub(crate) fn bytes_of(self, rtype: u8) -> Option<usize> {
        let by_version = |first: usize, second: usize, third: usize| match self.version {
            ..=1 => first,
            2 => second,
            _ => third,
        };
        #[expect(deprecated, reason = "old files hold this type")]
        let bytes = match RType::try_from(rtype).ok()? {
            RType::Mbp0 => size_of::<TradeMsg>(),
            RType::Mbp1 => size_of::<Mbp1Msg>(),
            RType::Mbp10 => size_of::<Mbp10Msg>(),
            RType::Mbo => size_of::<MboMsg>(),
            RType::OhlcvDeprecated
            | RType::Ohlcv1S
            | RType::Ohlcv1M
            | RType::Ohlcv1H
            | RType::Ohlcv1D
            | RType::OhlcvEod => size_of::<OhlcvMsg>(),
            RType::Cmbp1 | RType::Tcbbo => size_of::<Cmbp1Msg>(),
            RType::Cbbo1S | RType::Cbbo1M => size_of::<CbboMsg>(),
            RType::Bbo1S | RType::Bbo1M => size_of::<BboMsg>(),
            RType::Status => size_of::<StatusMsg>(),
            RType::Imbalance => size_of::<ImbalanceMsg>(),
            RType::InstrumentDef => by_version(
                size_of::<v1::InstrumentDefMsg>(),
                size_of::<v2::InstrumentDefMsg>(),
                size_of::<InstrumentDefMsg>(),
            ),
            RType::Statistics => {
                by_version(size_of::<v1::StatMsg>(), size_of::<v2::StatMsg>(), size_of::<StatMsg>())
            }
            RType::Error => {
                by_version(size_of::<v1::ErrorMsg>(), size_of::<ErrorMsg>(), size_of::<ErrorMsg>())
            }
            RType::SymbolMapping => by_version(
                size_of::<v1::SymbolMappingMsg>(),
                size_of::<SymbolMappingMsg>(),
                size_of::<SymbolMappingMsg>(),
            ),
            RType::System => by_version(
                size_of::<v1::SystemMsg>(),
                size_of::<SystemMsg>(),
                size_of::<SystemMsg>(),
            ),
            // Version 4 gave it to records that bear `Mbp1` before.
            RType::Tbbo => return None,
        };
        Some(bytes + self.extra())
    }

    /// The length of the usual record of a schema.
    pub(crate) fn usual(self, schema: BookSchema) -> usize {
        self.extra()
            + match schema {
                BookSchema::Mbp10 => size_of::<Mbp10Msg>(),
                BookSchema::Mbo => size_of::<MboMsg>(),
            }
    }

    /// What a header should have said, in words.
    pub(crate) fn expected(self, rtype: u8, schema: Option<BookSchema>) -> String {
        let book = |schema: BookSchema, rtype: u8| {
            format!("{} bytes for `{}` ({rtype:#04x})", self.usual(schema), schema.as_str())
        };
        let (mbp10, mbo) =
            (book(BookSchema::Mbp10, rtype::MBP_10), book(BookSchema::Mbo, rtype::MBO));
        let books = match (rtype, schema) {
            (rtype::MBP_10, None) | (_, Some(BookSchema::Mbp10)) => mbp10,
            (rtype::MBO, None) | (_, Some(BookSchema::Mbo)) => mbo,
            _ => format!("{mbp10} or {mbo}"),
        };
        match self.bytes_of(rtype) {
            Some(bytes) if is_companion(rtype) => {
                format!("{bytes} bytes for `{}` ({rtype:#04x}), or {books}", rtype_name(rtype))
            }
            _ => books,
        }
    }
}

/// Whether records of this type may accompany books.
pub(crate) fn is_companion(rtype: u8) -> bool {
    matches!(
        rtype,
        rtype::STATUS
            | rtype::INSTRUMENT_DEF
            | rtype::IMBALANCE
            | rtype::ERROR
            | rtype::SYMBOL_MAPPING
            | rtype::SYSTEM
            | rtype::STATISTICS
    )
}

/// A record type by name where it has one, such as `symbol_mapping`.
pub(crate) fn rtype_name(rtype: u8) -> String {
    RType::try_from(rtype)
        .map_or_else(|_| format!("{rtype:#04x}"), |rtype| rtype.as_str().replace('-', "_"))
}

/// What is wrong with a bar: open, high, low and close in 1e-9 units. Bars are as long as orders, so
/// an order whose type byte is damaged shows by its prices alone.
pub(crate) fn bar_fault([open, high, low, close]: [i64; 4]) -> Option<String> {
    let is_inside = |px: i64| (low..=high).contains(&px);
    let is_sound = low <= high && is_inside(open) && is_inside(close);
    (!is_sound).then(|| {
        format!("open {open}, high {high}, low {low} and close {close}, which are no bar's prices")
    })
}

#[cfg(test)]
mod tests {
    use dbn::HasRType;

    use super::*;

    fn lengths(version: u8, ts_out: bool) -> RecordLengths {
        RecordLengths { version, ts_out }
    }

    /// Lengths by version, written down from the format's description; 0 for types that none of
    /// the versions has.
    fn written_down(rtype: u8) -> [usize; 3] {
        match rtype {
            0x00 => [48; 3],
            0x01 | 0xB1 | 0xC0..=0xC4 => [80; 3],
            0x0A => [368; 3],
            0x11 | 0x20..=0x24 | 0xA0 => [56; 3],
            0x12 => [40; 3],
            0x13 => [360, 400, 520],
            0x14 => [112; 3],
            0x15 | 0x17 => [80, 320, 320],
            0x16 => [80, 176, 176],
            0x18 => [64, 64, 80],
            _ => [0; 3],
        }
    }

    /// Fault 1 of the review: every type, every version, every length that a header can say.
    #[test]
    fn a_length_that_contradicts_the_type_is_damage_for_every_type_and_version() {
        let mut sound = 0;
        for (version, ts_out, rtype) in (1..=3_u8)
            .flat_map(|v| [(v, false), (v, true)])
            .flat_map(|(v, ts_out)| (0..=u8::MAX).map(move |rtype| (v, ts_out, rtype)))
        {
            let lengths = lengths(version, ts_out);
            let known = written_down(rtype)[usize::from(version) - 1];
            let right = if known == 0 { None } else { Some(known + usize::from(ts_out) * 8) };
            assert_eq!(lengths.bytes_of(rtype), right, "{rtype:#04x} in version {version}");
            for bytes in (0..=u8::MAX).map(|units| usize::from(units) * 4) {
                let kind = lengths.classify(rtype, bytes);
                let expected = match rtype {
                    _ if right != Some(bytes) => RecordKind::Damaged,
                    0x0A => RecordKind::Mbp10,
                    0xA0 => RecordKind::Mbo,
                    0x12..=0x18 => RecordKind::Other,
                    _ => RecordKind::Market,
                };
                assert_eq!(kind, expected, "{rtype:#04x}, {bytes} bytes, version {version}");
                sound += u32::from(kind != RecordKind::Damaged);
            }
        }
        // Types of the format times versions times with and without the send time.
        assert_eq!(sound, 23 * 3 * 2);
    }

    #[test]
    fn the_library_writes_these_lengths() {
        fn check<R: HasRType + Default>(version: u8) {
            let record = R::default();
            let bytes: &[u8] = record.as_ref();
            let length = usize::from(bytes[0]) * 4;
            let kind = lengths(version, false).classify(bytes[1], length);
            assert_ne!(kind, RecordKind::Damaged, "{:#04x}", bytes[1]);
        }
        for version in 1..=3 {
            check::<StatusMsg>(version);
            check::<ImbalanceMsg>(version);
            check::<MboMsg>(version);
            check::<Mbp10Msg>(version);
        }
        for version in 2..=3 {
            check::<ErrorMsg>(version);
            check::<SystemMsg>(version);
            check::<SymbolMappingMsg>(version);
        }
        check::<v1::InstrumentDefMsg>(1);
        check::<v1::SymbolMappingMsg>(1);
        check::<v1::StatMsg>(1);
        check::<v2::InstrumentDefMsg>(2);
        check::<InstrumentDefMsg>(3);
        check::<StatMsg>(3);
    }

    #[test]
    fn an_order_is_no_bar() {
        assert_eq!(bar_fault([2, 3, 1, 2]), None);
        for bar in [[4, 3, 1, 2], [2, 3, 1, 0], [2, 1, 3, 2]] {
            assert!(bar_fault(bar).is_some(), "{bar:?}");
        }
    }
}
