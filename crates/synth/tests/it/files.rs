//! What is written decodes, whole, and nothing else is left in the folder.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use dbn::{
    MboMsg, Mbp10Msg, SymbolIndex,
    decode::{DbnMetadata, DecodeRecord, DynDecoder},
};
use lob_synth::{
    Schema, SynthConfig, SynthError, mbo_records, mbp10_records, write_dbn, write_dbn_zst,
    write_file, write_sessions,
};
use sha2::{Digest, Sha256};

fn config(schema: Schema) -> SynthConfig {
    SynthConfig { records: 10_000, instruments: 4, sessions: 2, seed: 9, schema }
}

fn decoder(path: &Path) -> DynDecoder<'static, io::BufReader<fs::File>> {
    DynDecoder::from_file(path, dbn::VersionUpgradePolicy::AsIs).unwrap()
}

fn decode<R: Clone + dbn::HasRType<Header = dbn::RecordHeader>>(path: &Path) -> Vec<R> {
    let (mut decoder, mut records) = (decoder(path), Vec::new());
    while let Some(record) = decoder.decode_record::<R>().unwrap() {
        records.push(record.clone());
    }
    records
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_hold_exactly_the_records() {
    let dir = tempfile::tempdir().unwrap();
    for (name, schema) in [
        ("a.mbp-10.dbn.zst", Schema::Mbp10),
        ("a.mbp-10.dbn", Schema::Mbp10),
        ("a.mbo.dbn.zst", Schema::Mbo),
        ("a.mbo.dbn", Schema::Mbo),
    ] {
        let (path, config) = (dir.path().join(name), config(schema));
        let summary = write_file(&config, &path).unwrap();
        assert_eq!(summary.records, 10_000);
        let (first, last) = match schema {
            Schema::Mbo => {
                let records = decode::<MboMsg>(&path);
                assert_eq!(records, mbo_records(&config).unwrap());
                (records[0].ts_recv, records[9_999].ts_recv)
            }
            Schema::Mbp10 => {
                let records = decode::<Mbp10Msg>(&path);
                assert_eq!(records, mbp10_records(&config).unwrap());
                (records[0].ts_recv, records[9_999].ts_recv)
            }
        };
        assert_eq!((summary.first_ts, summary.last_ts), (first, last));
    }
    assert_eq!(names(dir.path()).len(), 4, "no temporary file stays");
}

#[test]
fn metadata_maps_every_symbol_on_every_day() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.dbn.zst");
    let summary = write_file(&config(Schema::Mbp10), &path).unwrap();
    let decoder = decoder(&path);
    let metadata = decoder.metadata();
    assert_eq!((metadata.version, metadata.dataset.as_str()), (3, "GLBX.MDP3"));
    assert_eq!(metadata.schema, Some(dbn::Schema::Mbp10));
    assert!(metadata.start <= summary.first_ts);
    assert!(metadata.end.is_some_and(|end| end.get() > summary.last_ts));
    let map = metadata.symbol_map().unwrap();
    for record in decode::<Mbp10Msg>(&path) {
        let symbol = map.get_for_rec(&record).expect("every record has a symbol");
        let known = (record.hd.instrument_id, symbol.clone());
        assert!(summary.instruments.contains(&known), "{known:?}");
    }
    let symbols: Vec<&str> = summary.instruments.iter().map(|(_, s)| s.as_str()).collect();
    assert_eq!(symbols, ["6AM4", "ESM4", "6AM4-6AU4", "6AU4"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let digest = |config: &SynthConfig| {
        let mut file = Vec::new();
        write_dbn_zst(config, &mut file).unwrap();
        Sha256::digest(&file)
    };
    let config = config(Schema::Mbp10);
    assert_eq!(digest(&config), digest(&config));
    assert_ne!(digest(&config), digest(&SynthConfig { seed: 10, ..config.clone() }));
}

#[test]
fn sessions_are_daily_files_of_the_same_market() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(Schema::Mbp10);
    let files = write_sessions(&config, &dir.path().join("new/folder")).unwrap();
    assert_eq!(
        names(&dir.path().join("new/folder")),
        ["glbx-mdp3-20240401.mbp-10.dbn.zst", "glbx-mdp3-20240402.mbp-10.dbn.zst"]
    );
    let mut records = Vec::new();
    for file in &files {
        let part = decode::<Mbp10Msg>(&file.path);
        assert_eq!(file.summary.records, part.len() as u64);
        let decoder = decoder(&file.path);
        let (start, end) = (decoder.metadata().start, decoder.metadata().end.unwrap().get());
        assert!(part.iter().all(|r| (start..end).contains(&r.ts_recv)));
        records.extend(part);
    }
    assert_eq!(records, mbp10_records(&config).unwrap());
}

/// Takes `left` bytes, then is full.
struct FullDisk {
    left: usize,
}

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = bytes.len().min(self.left);
        self.left -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_every_byte() {
    let config = SynthConfig { records: 3_000, ..config(Schema::Mbo) };
    let mut whole = Vec::new();
    write_dbn_zst(&config, &mut whole).unwrap();
    for left in [0, 1, 100, whole.len() / 2, whole.len() - 4, whole.len() - 1] {
        let result = write_dbn_zst(&config, FullDisk { left });
        assert!(result.is_err(), "{left} of {} bytes fit", whole.len());
    }
    assert!(write_dbn_zst(&config, FullDisk { left: whole.len() }).is_ok());
    assert!(write_dbn(&config, FullDisk { left: 3_000 * 56 }).is_err());
}

#[test]
fn a_failed_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing/a.dbn");
    let error = write_file(&config(Schema::Mbo), &missing).unwrap_err();
    assert!(matches!(error, SynthError::Io { verb: "create", .. }), "{error}");
    // A folder in the place of the file: the rename is refused, the temporary file goes.
    let taken = dir.path().join("taken.dbn");
    fs::create_dir_all(taken.join("inside")).unwrap();
    assert!(write_file(&config(Schema::Mbo), &taken).is_err());
    assert_eq!(names(dir.path()), ["taken.dbn"]);
    let bad = SynthConfig { instruments: 0, ..config(Schema::Mbo) };
    assert!(write_file(&bad, &dir.path().join("bad.dbn")).is_err());
    assert_eq!(names(dir.path()), ["taken.dbn"]);
}
