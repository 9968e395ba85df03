use super::*;
use crate::symbols::Symbology;

/// 2024-04-01, a day in nanoseconds, and an hour.
const DAY_1: u64 = 1_711_929_600_000_000_000;
const DAY: u64 = 86_400_000_000_000;
const HOUR: u64 = DAY / 24;
const PLAIN: FlagSet = FlagSet::empty();

/// The symbols of a list of id, symbol, first day and day after the last of April 2024.
fn stated(list: &[(u32, &str, u8, u8)]) -> SymbolMap {
    let mut result = serde_json::Map::new();
    for (id, symbol, from, to) in list {
        let days = ["d0", "d1"].into_iter().zip([from, to]);
        let mut entry: serde_json::Map<_, _> =
            days.map(|(key, day)| (key.to_owned(), format!("2024-04-{day:02}").into())).collect();
        entry.insert("s".to_owned(), (*symbol).into());
        let of_id = result.entry(id.to_string()).or_insert_with(|| serde_json::json!([]));
        of_id.as_array_mut().unwrap().push(entry.into());
    }
    let document = serde_json::json!({
        "result": result, "stype_in": "instrument_id", "stype_out": "raw_symbol",
    });
    let symbology: Symbology = serde_json::from_value(document).unwrap();
    symbology.map(&|| false).unwrap().unwrap_or_default()
}

/// A mapping record of version 3.
fn mapping(id: u32, symbol: &str, start: u64, end: u64) -> Vec<u8> {
    let mut record = vec![0; 176];
    (record[0], record[1]) = (44, dbn::rtype::SYMBOL_MAPPING);
    record[4..8].copy_from_slice(&id.to_le_bytes());
    record[89..89 + symbol.len()].copy_from_slice(symbol.as_bytes());
    record[160..168].copy_from_slice(&start.to_le_bytes());
    record[168..].copy_from_slice(&end.to_le_bytes());
    record
}

impl Instruments {
    /// The instrument of a record of publisher 1 captured and made at this time.
    fn at(&mut self, id: u32, ts: u64) -> (String, u32) {
        let at = self.locate((1, id), ts, ts, PLAIN);
        (self.seen[at.index as usize].name(), at.stretch)
    }
}

fn named(name: &str, stretch: u32) -> (String, u32) {
    (name.to_owned(), stretch)
}

#[test]
fn the_bytes_of_a_mapping_record_are_where_dbn_has_them() {
    let text = |symbol: &str| {
        let mut bytes = [0; 71];
        for (to, from) in bytes.iter_mut().zip(symbol.bytes()) {
            *to = from.cast_signed();
        }
        bytes
    };
    let new = dbn::SymbolMappingMsg {
        hd: dbn::RecordHeader::new::<dbn::SymbolMappingMsg>(dbn::rtype::SYMBOL_MAPPING, 1, 5, 0),
        stype_out_symbol: text("ESM4"),
        start_ts: 7,
        end_ts: 9,
        ..dbn::SymbolMappingMsg::default()
    };
    let mut old = dbn::v1::SymbolMappingMsg {
        hd: dbn::RecordHeader::new::<dbn::v1::SymbolMappingMsg>(
            dbn::rtype::SYMBOL_MAPPING,
            1,
            5,
            0,
        ),
        start_ts: 7,
        end_ts: 9,
        ..dbn::v1::SymbolMappingMsg::default()
    };
    old.stype_out_symbol.copy_from_slice(&text("ESM4")[..22]);
    for (version, record) in [(1, old.as_ref()), (2, new.as_ref()), (3, new.as_ref())] {
        let mut map = SymbolMap::default();
        assert_eq!(map.on_record(record, version), Ok(true));
        let found = map.find(5, 8);
        assert_eq!((found.from, found.until, found.symbol), (7, 9, Some(&"ESM4".into())));
    }
    assert_eq!(mapping(5, "ESM4", 7, 9).len(), new.as_ref().len());
}

#[test]
fn an_id_that_gets_another_symbol_is_another_instrument() {
    let map = stated(&[(5, "ESM4", 1, 2), (5, "CLM4", 2, 3), (6, "NQM4", 1, 3)]);
    let mut all = Instruments::new(map, None);
    assert_eq!(all.at(5, DAY_1), named("ESM4", 1));
    assert!(!all.take_new_meaning());
    assert_eq!(all.at(6, DAY_1), named("NQM4", 1));
    assert_eq!(all.at(5, DAY_1 + DAY - 1), named("ESM4", 1));
    assert!(!all.take_new_meaning());
    assert_eq!(all.at(5, DAY_1 + DAY), named("CLM4", 1));
    assert!(all.take_new_meaning() && !all.take_new_meaning(), "told once");
    assert_eq!(all.at(6, DAY_1 + DAY), named("NQM4", 1));
    // A publisher of its own is an instrument of its own, under the same symbol.
    let other = all.locate((2, 5), DAY_1 + DAY, DAY_1 + DAY, PLAIN);
    assert!(!all.take_new_meaning());
    assert_eq!((other.index, all.seen[3].publisher_id, all.seen[3].name()), (3, 2, "CLM4".into()));
    let nth: Vec<_> = all.seen.iter().map(|instrument| instrument.nth).collect();
    assert_eq!(nth, [0, 0, 1, 0]);
    assert_eq!(all.seen[2].to_string(), "`CLM4` (id 5)");
    assert!(all.seen[2].answers_to("CLM4") && all.seen[2].answers_to("5"));
    assert!(!all.seen[2].answers_to("ESM4") && !all.seen[2].answers_to("05x"));
    assert!(all.seen[2].answers_to("CLM4@5"));
    assert!(!all.seen[2].answers_to("ESM4@5") && !all.seen[2].answers_to("CLM4@6"));
    for (name, expected) in
        [("CLM4", true), ("5", true), ("CLM4@5", true), ("ESM4", false), ("ESM4@5", false)]
    {
        assert_eq!(Instrument::may_be_named("CLM4", name), expected, "{name}");
    }
}

#[test]
fn mapping_records_hold_from_where_they_stand() {
    let mut all = Instruments::default();
    let tell = |all: &mut Instruments, symbol: &str, start, end| {
        all.on_mapping(&mapping(5, symbol, start, end), 3).unwrap();
    };
    const UNDEF: u64 = UNDEF_TIMESTAMP;
    assert_eq!(all.at(5, DAY_1), named("5", 1));
    tell(&mut all, "A", UNDEF, UNDEF);
    assert_eq!(all.at(5, DAY_1), named("A", 1), "a miss is not kept");
    assert!(!all.take_new_meaning(), "a name that was missing is no other meaning");
    tell(&mut all, "A", UNDEF, UNDEF);
    assert_eq!(all.at(5, DAY_1 + 1), named("A", 1), "said again");
    tell(&mut all, "B", UNDEF, UNDEF);
    assert_eq!(all.at(5, DAY_1), named("B", 1), "in the order of the stream, whatever the time");
    assert!(all.take_new_meaning());
    tell(&mut all, "A", UNDEF, UNDEF);
    assert_eq!(all.at(5, DAY_1 + 2), named("A", 2), "back again");
    assert!(all.take_new_meaning());
    // With times of its own, a statement holds between them.
    tell(&mut all, "C", DAY_1 + 10, DAY_1 + 20);
    assert_eq!(all.at(5, DAY_1 + 9), named("A", 2));
    assert_eq!(all.at(5, DAY_1 + 10), named("C", 1));
    assert_eq!(all.at(5, DAY_1 + 20), named("A", 3));
    tell(&mut all, "D", DAY_1 + 30, UNDEF);
    assert_eq!(all.at(5, DAY_1 + 29), named("A", 3));
    assert_eq!(all.at(5, DAY_1 + 30), named("D", 1));
    tell(&mut all, "E", UNDEF, DAY_1 + 40);
    assert_eq!(all.at(5, DAY_1 + 31), named("E", 1));
    assert_eq!(all.at(5, DAY_1 + 40), named("D", 2));
}

#[test]
fn a_record_of_another_time_is_named_by_the_time_that_can_be() {
    let mut all = Instruments::new(stated(&[(5, "ESM4", 1, 2), (5, "CLM4", 2, 3)]), None);
    let mut name = |ts_recv, ts_event, flags| {
        let at = all.locate((1, 5), ts_event, ts_recv, flags);
        all.seen[at.index as usize].name()
    };
    let (snapshot, mut bad) = (FlagSet::empty().set_snapshot().set_bad_ts_recv(), PLAIN);
    bad = bad.set_bad_ts_recv();
    let noon = DAY_1 + DAY + 12 * HOUR;
    // A snapshot tells of orders that are days old; its capture time counts.
    assert_eq!(name(noon, DAY_1, PLAIN), "CLM4");
    assert_eq!(name(noon, DAY_1 - 5 * DAY, PLAIN), "CLM4");
    assert_eq!(name(noon, DAY_1, snapshot), "CLM4");
    // Where the capture time is missing, said to be wrong, or mapped by nothing, the other does.
    assert_eq!(name(UNDEF_TIMESTAMP, DAY_1, PLAIN), "ESM4");
    assert_eq!(name(0, DAY_1, PLAIN), "ESM4");
    assert_eq!(name(noon, DAY_1, bad), "ESM4");
    assert_eq!(name(DAY_1 + 2 * DAY, noon, PLAIN), "CLM4");
    assert_eq!(name(DAY_1 - 1, DAY_1, PLAIN), "ESM4");
    // Neither: no name, and none that stays.
    assert_eq!(name(DAY_1 - 1, DAY_1 - 1, PLAIN), "5");
    assert_eq!(name(DAY_1, DAY_1, PLAIN), "ESM4");
    // Without any time it belongs where the id was last.
    assert_eq!(name(UNDEF_TIMESTAMP, UNDEF_TIMESTAMP, PLAIN), "ESM4");
    assert_eq!(name(noon, noon, PLAIN), "CLM4");
    assert_eq!(name(UNDEF_TIMESTAMP, UNDEF_TIMESTAMP, PLAIN), "CLM4");
}

#[test]
fn the_batch_folder_is_asked_where_the_file_says_nothing() {
    let batch = stated(&[(5, "OLD", 1, 4), (6, "ALSO", 1, 2)]);
    let mut all = Instruments::new(stated(&[(5, "NEW", 2, 3)]), Some(Arc::new(batch)));
    let names: Vec<_> = (0..4).map(|n| all.at(5, DAY_1 + n * DAY).0).collect();
    assert_eq!(names, ["OLD", "NEW", "OLD", "5"]);
    assert_eq!(all.at(6, DAY_1).0, "ALSO");
    assert_eq!(all.symbol(DAY_1, 5), Some("OLD"));
    all.on_mapping(&mapping(5, "LIVE", UNDEF_TIMESTAMP, UNDEF_TIMESTAMP), 2).unwrap();
    assert_eq!(all.at(5, DAY_1).0, "LIVE");
}

#[test]
fn a_mapping_record_that_cannot_be_used_changes_nothing() {
    let mut all = Instruments::new(stated(&[(5, "ESM4", 1, 2)]), None);
    let mut odd = mapping(5, "X", 0, 9);
    odd[89] = 0xff;
    for (record, symbol, word) in [
        (mapping(5, "BAD", 9, 8), "BAD", "not before its end"),
        (mapping(5, "BAD", 9, 9), "BAD", "not before its end"),
        (mapping(5, "", 0, 9), "5", "no symbol"),
        (mapping(5, "BAD", 0, 9)[..80].to_vec(), "5", "after 80 bytes"),
        (odd, "5", r"`\xff`"),
    ] {
        let bad = all.on_mapping(&record, 3).unwrap_err();
        assert!(bad.symbol == symbol && bad.what.contains(word), "{bad:?}");
        assert!(bad.what.contains("id 5"), "{bad:?}");
        assert_eq!(all.at(5, DAY_1), named("ESM4", 1));
    }
}

#[test]
fn many_live_mappings_are_no_burden() {
    let mut all = Instruments::default();
    for n in (0..60_000_u64).rev() {
        let symbol = format!("S{}", n % 7);
        all.on_mapping(&mapping(5, &symbol, n, n + 30_000), 3).unwrap();
        all.at(5, n);
    }
    // Seven symbols, however often they change places; each lookup asked one id once.
    assert_eq!(all.seen.len(), 7);
    assert_eq!(all.current.len(), 1);
}
