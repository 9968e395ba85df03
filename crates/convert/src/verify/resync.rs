//! Finding the next sound record behind a damaged one.

use super::scan::HEADER_BYTES;
use crate::decode::{BookSchema, RecordKind, RecordLengths};

/// Records that must follow one another for a place to count as a record boundary; fewer at the
/// end of the data.
const CHAIN: usize = 3;

/// Bytes that such a chain takes at most.
pub(super) const CHAIN_BYTES: usize = CHAIN * u8::MAX as usize * 4;

/// How many bytes further a sound record starts, at the places where this one would have ended had
/// only its type or only its length been damaged: a single flipped byte leaves the framing of the
/// rest as it was.
pub(super) fn near_record(
    bytes: &[u8],
    schema: Option<BookSchema>,
    lengths: RecordLengths,
) -> Option<usize> {
    let by_type = bytes.get(1).and_then(|rtype| lengths.bytes_of(*rtype));
    let by_length = bytes.first().map(|units| usize::from(*units) * 4);
    let usual = schemas(schema).iter().map(|schema| lengths.usual(*schema));
    usual.chain(by_type).chain(by_length).find(|&at| {
        (HEADER_BYTES..bytes.len()).contains(&at) && is_boundary(&bytes[at..], schema, lengths)
    })
}

/// Where the next sound record of books starts, at `from` or behind it.
pub(super) fn find_record(
    bytes: &[u8],
    mut from: usize,
    schema: Option<BookSchema>,
    lengths: RecordLengths,
) -> Option<usize> {
    // A length byte and the type byte that fits it.
    let starts: Vec<[u8; 2]> = schemas(schema)
        .iter()
        .filter_map(|schema| {
            let units = u8::try_from(lengths.usual(*schema) / 4).ok()?;
            Some([units, schema.rtype()])
        })
        .collect();
    loop {
        let at = from + next_pair(bytes.get(from..)?, &starts)?;
        if is_boundary(&bytes[at..], schema, lengths) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The schemas that a record may be of.
fn schemas(schema: Option<BookSchema>) -> &'static [BookSchema] {
    match schema {
        Some(BookSchema::Mbp10) => &[BookSchema::Mbp10],
        Some(BookSchema::Mbo) => &[BookSchema::Mbo],
        None => &[BookSchema::Mbp10, BookSchema::Mbo],
    }
}

/// Where one of the pairs begins. Long runs without the first byte of any are passed over by
/// comparing bytes alone.
fn next_pair(bytes: &[u8], pairs: &[[u8; 2]]) -> Option<usize> {
    let is_pair = |at: &usize| {
        bytes.get(*at..*at + 2).is_some_and(|found| pairs.iter().any(|pair| pair == found))
    };
    match pairs {
        [one] => memchr::memchr_iter(one[0], bytes).find(is_pair),
        [one, other] => memchr::memchr2_iter(one[0], other[0], bytes).find(is_pair),
        _ => None,
    }
}

/// Whether sound records start here, one behind the other.
fn is_boundary(mut bytes: &[u8], schema: Option<BookSchema>, lengths: RecordLengths) -> bool {
    for n in 0..CHAIN {
        if bytes.len() < HEADER_BYTES {
            // The end of the data: one record before it is enough.
            return n > 0;
        }
        let length = usize::from(bytes[0]) * 4;
        let is_sound = match (lengths.classify(bytes[1], length), schema) {
            (RecordKind::Mbp10, Some(schema)) => schema == BookSchema::Mbp10,
            (RecordKind::Mbo, Some(schema)) => schema == BookSchema::Mbo,
            (RecordKind::Mbp10 | RecordKind::Mbo, None) => true,
            // Records of other kinds may stand between those of books.
            (RecordKind::Other, _) => true,
            _ => false,
        };
        if !is_sound || length > bytes.len() {
            return false;
        }
        bytes = &bytes[length..];
    }
    true
}
