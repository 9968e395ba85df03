//! Messy markets hold what their account says.

use std::{collections::BTreeMap, path::Path};

use dbn::{
    MboMsg, Mbp10Msg, Metadata, SymbolMappingMsg, UNDEF_PRICE, UNDEF_TIMESTAMP,
    decode::{DbnMetadata, DecodeRecordRef, DynDecoder},
};
use lob_book::Replayer;
use lob_synth::{
    InsertionKind, Mess, MessyFile, QUIET_QUOTES, Schema, SymbolsIn, SynthConfig, SynthError,
    write_messy_file, write_messy_sessions,
};

const SESSIONS: u32 = 2;

fn config(schema: Schema) -> SynthConfig {
    // Most orders of a short market are those of its snapshots.
    let records = if schema == Schema::Mbo { 30_000 } else { 6_000 };
    SynthConfig { records, instruments: 2, sessions: SESSIONS, seed: 5, schema }
}

/// Every record of a file, as far as tests look at it.
#[derive(Debug, Clone, PartialEq)]
enum Record {
    Mbo(MboMsg),
    Mbp10(Mbp10Msg),
    Mapping(SymbolMappingMsg),
    Other,
}

impl Record {
    /// `ts_event`, `ts_recv`, flags, action and id.
    fn book(&self) -> Option<(u64, u64, dbn::FlagSet, u8, u32)> {
        match self {
            Self::Mbo(r) => Some((
                r.hd.ts_event,
                r.ts_recv,
                r.flags,
                r.action.cast_unsigned(),
                r.hd.instrument_id,
            )),
            Self::Mbp10(r) => Some((
                r.hd.ts_event,
                r.ts_recv,
                r.flags,
                r.action.cast_unsigned(),
                r.hd.instrument_id,
            )),
            _ => None,
        }
    }
}

fn read(path: &Path) -> (Metadata, Vec<Record>) {
    let mut decoder = DynDecoder::from_file(path, dbn::VersionUpgradePolicy::AsIs).unwrap();
    let metadata = decoder.metadata().clone();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        let mbo = record.get::<MboMsg>().map(|r| Record::Mbo(r.clone()));
        let mbp = || record.get::<Mbp10Msg>().map(|r| Record::Mbp10(r.clone()));
        let mapping = || record.get::<SymbolMappingMsg>().map(|r| Record::Mapping(r.clone()));
        records.push(mbo.or_else(mbp).or_else(mapping).unwrap_or(Record::Other));
    }
    (metadata, records)
}

fn all() -> impl Iterator<Item = (Schema, Mess)> {
    let schemas = [Schema::Mbo, Schema::Mbp10].into_iter();
    schemas.flat_map(|schema| [(schema, Mess::daily()), (schema, Mess::live())])
}

#[test]
fn the_account_says_what_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (schema, mess) in all() {
        let path = folder.path().join("a.dbn.zst");
        let file = write_messy_file(&config(schema), &mess, &path, &|| false).unwrap();
        let (metadata, records) = read(&path);
        assert_eq!(file.summary.records, records.len() as u64);
        assert!(records.len() as u64 >= config(schema).records);
        check_header(&metadata, &mess, schema);
        let marked = marks(&file, &records);
        for (at, record) in records.iter().enumerate() {
            let Some((ts_event, ts_recv, flags, _, _)) = record.book() else { continue };
            let is_odd = marked.contains_key(&at);
            assert_eq!(flags.is_snapshot(), marked.get(&at) == Some(&"snapshot"), "record {at}");
            assert!(is_odd || (ts_event <= ts_recv && ts_recv - ts_event < 1_000_000_000), "{at}");
        }
    }
}

/// What the account says of each record that is not an ordinary one of the market.
fn marks(file: &MessyFile, records: &[Record]) -> BTreeMap<usize, &'static str> {
    let mut marked = BTreeMap::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for insertion in &file.insertions {
        let at = usize::try_from(insertion.record).unwrap();
        let record = &records[at];
        let name = match &insertion.kind {
            InsertionKind::Snapshot { records: n, .. } => {
                let (_, now, flags, action, _) = record.book().unwrap();
                assert_eq!(action, b'R');
                let last = at + usize::try_from(*n).unwrap() - 1;
                for (i, record) in records[at..=last].iter().enumerate() {
                    let (ts_event, ts_recv, flags, ..) = record.book().unwrap();
                    assert_eq!((ts_recv, flags.is_last()), (now, at + i == last));
                    assert!(flags.is_bad_ts_recv() && ts_event <= now);
                    marked.insert(at + i, "snapshot");
                }
                assert!(flags.is_snapshot());
                "snapshot"
            }
            InsertionKind::Means { instrument_id, symbol } => {
                if let Record::Mapping(mapping) = record {
                    assert_eq!(mapping.stype_out_symbol().unwrap(), symbol);
                    assert_eq!(mapping.hd.instrument_id, *instrument_id);
                    assert_eq!(
                        (mapping.start_ts, mapping.end_ts),
                        (UNDEF_TIMESTAMP, UNDEF_TIMESTAMP)
                    );
                }
                *counts.entry("means").or_default() += 1;
                continue;
            }
            InsertionKind::Companion => {
                assert_eq!(record, &Record::Other);
                "companion"
            }
            InsertionKind::Quiet => "quiet",
            InsertionKind::BadTsRecv => {
                let (ts_event, ts_recv, flags, ..) = record.book().unwrap();
                assert!(flags.is_bad_ts_recv() && ts_recv < ts_event + 2_000_000_000);
                "bad"
            }
            InsertionKind::UndefinedTsRecv => "undefined",
            InsertionKind::OddTsEvent => "odd",
            InsertionKind::Untimed => "untimed",
        };
        marked.entry(at).or_insert(name);
        *counts.entry(name).or_default() += 1;
    }
    for kind in ["bad", "undefined", "odd", "untimed", "companion", "means"] {
        assert!(counts.get(kind).is_some_and(|n| *n > 3), "{kind}: {counts:?}");
    }
    // Three instruments, at the start and in mid session.
    assert_eq!(counts["snapshot"], 3 * 2 * u64::from(SESSIONS));
    assert!(counts["quiet"] >= QUIET_QUOTES * u64::from(SESSIONS));
    marked
}

fn check_header(metadata: &Metadata, mess: &Mess, schema: Schema) {
    if mess.symbols_in == SymbolsIn::Stream {
        assert_eq!((metadata.schema, metadata.mappings.len()), (None, 0));
        return;
    }
    let found = if schema == Schema::Mbo { dbn::Schema::Mbo } else { dbn::Schema::Mbp10 };
    assert_eq!(metadata.schema, Some(found));
    // Each symbol has another id on the second day.
    for mapping in &metadata.mappings {
        let ids: Vec<&str> = mapping.intervals.iter().map(|i| i.symbol.as_str()).collect();
        assert!(ids.len() == 2 && ids[0] != ids[1], "{mapping:?}");
    }
}

#[test]
fn a_recovery_gives_the_book_again_and_snapshots_carry_old_times() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dbn");
    let mess = Mess { has_untimed: false, ..Mess::daily() };
    let file = write_messy_file(&config(Schema::Mbo), &mess, &path, &|| false).unwrap();
    let (_, records) = read(&path);
    let mut replayer = Replayer::new();
    let mut ends: BTreeMap<usize, (u32, bool, Vec<dbn::BidAskPair>)> = BTreeMap::new();
    let mut checked = 0;
    for (at, record) in records.iter().enumerate() {
        let Record::Mbo(order) = record else { continue };
        let id = order.hd.instrument_id;
        let snapshot = file.insertions.iter().find_map(|insertion| match insertion.kind {
            InsertionKind::Snapshot { records, mid_session } if insertion.record == at as u64 => {
                Some((records, mid_session))
            }
            _ => None,
        });
        if let Some((n, mid_session)) = snapshot {
            let before = replayer.book(1, id).map(|book| book.levels().to_vec());
            let last = at + usize::try_from(n).unwrap() - 1;
            ends.insert(last, (id, mid_session, before.unwrap_or_default()));
            let age = order.ts_recv - records[last].book().unwrap().0;
            assert!(mid_session || n == 1 || age >= 86_400_000_000_000, "{age}");
        }
        replayer.push_ref(order).unwrap();
        if let Some((id, true, before)) = ends.get(&at) {
            assert_eq!(replayer.book(1, *id).unwrap().levels().to_vec(), *before, "{at}");
            checked += usize::from(before[0].bid_px != UNDEF_PRICE);
        }
    }
    assert!(checked >= 2 * SESSIONS as usize, "{checked}");
}

#[test]
fn the_same_seed_gives_the_same_files_and_the_copy_is_one() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (schema, mess) in all() {
        let files = write_messy_sessions(&config(schema), &mess, a.path(), &|| false).unwrap();
        let again = write_messy_sessions(&config(schema), &mess, b.path(), &|| false).unwrap();
        assert_eq!(files.len(), SESSIONS as usize + 1);
        for (file, again) in files.iter().zip(&again) {
            assert_eq!(file.insertions, again.insertions);
            assert_eq!(std::fs::read(&file.path).unwrap(), std::fs::read(&again.path).unwrap());
        }
        let copy = files.last().unwrap();
        assert_eq!(copy.copy_of.as_ref(), Some(&files[0].path));
        assert_eq!(copy.path.extension().unwrap(), "dbn");
        assert_eq!(read(&copy.path), read(&files[0].path));
        let other = SynthConfig { seed: 6, ..config(schema) };
        let path = a.path().join("other.dbn.zst");
        assert_ne!(
            write_messy_file(&other, &mess, &path, &|| false).unwrap().insertions,
            files[0].insertions
        );
    }
}

#[test]
fn a_header_cannot_deal_at_noon() {
    let mess = Mess { deals_at_noon: true, ..Mess::daily() };
    let error =
        write_messy_file(&config(Schema::Mbo), &mess, Path::new("never"), &|| false).unwrap_err();
    assert!(matches!(error, SynthError::BadConfig { field: "deals_at_noon", .. }), "{error}");
    let mess = Mess { bad_times: 1_001, ..Mess::daily() };
    let error =
        write_messy_file(&config(Schema::Mbo), &mess, Path::new("never"), &|| false).unwrap_err();
    assert!(matches!(error, SynthError::BadConfig { field: "bad_times", .. }), "{error}");
}
