//! The hidden state behind records.

use std::{collections::BTreeSet, fs, io};

use lob_synth::{
    REGIMES, Schema, SynthConfig, SynthError, Truth, mbo_records, mbp10_records, write_file,
    write_file_with_truth, write_sessions, write_sessions_with_truth,
};

/// Key, symbol, regime and pressure of a record.
type Row = ((u32, u32, u64, u64), String, u8, i32);

fn row(of: &Truth<'_>) -> Row {
    let key = (of.instrument_id, of.sequence, of.ts_event, of.ts_recv);
    (key, of.symbol.to_owned(), of.regime, of.pressure_percent)
}

fn config(schema: Schema) -> SynthConfig {
    SynthConfig { records: 60_000, instruments: 3, sessions: 3, seed: 11, schema }
}

#[test]
fn every_record_has_its_truth_and_the_market_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for schema in [Schema::Mbp10, Schema::Mbo] {
        let config = config(schema);
        let (plain, told) = (folder.path().join("plain.dbn"), folder.path().join("told.dbn"));
        write_file(&config, &plain).unwrap();
        let mut rows = Vec::new();
        let sink = &mut |of: &Truth<'_>| {
            rows.push(row(of));
            Ok(())
        };
        write_file_with_truth(&config, &told, &|| false, sink).unwrap();
        assert!(fs::read(&plain).unwrap() == fs::read(&told).unwrap(), "{schema:?}");

        let keys: Vec<_> = match schema {
            Schema::Mbo => {
                let records = mbo_records(&config).unwrap();
                let key =
                    |r: &dbn::MboMsg| (r.hd.instrument_id, r.sequence, r.hd.ts_event, r.ts_recv);
                records.iter().map(key).collect()
            }
            Schema::Mbp10 => {
                let records = mbp10_records(&config).unwrap();
                let key =
                    |r: &dbn::Mbp10Msg| (r.hd.instrument_id, r.sequence, r.hd.ts_event, r.ts_recv);
                records.iter().map(key).collect()
            }
        };
        assert!(rows.iter().map(|row| row.0).eq(keys), "a row for each record, in their order");
        let regimes: BTreeSet<_> = rows.iter().map(|row| row.2).collect();
        assert!(regimes.len() > 1 && regimes.iter().all(|r| usize::from(*r) < REGIMES.len()));
        assert!(rows.iter().all(|row| row.3.abs() <= 40) && rows.iter().any(|row| row.3 < -5));
        // The regime is the whole market's, the pressure an instrument's own: of two neighbours of
        // different instruments the former differs only where a burst ended between them.
        let pairs: Vec<_> = rows.windows(2).filter(|pair| pair[0].1 != pair[1].1).collect();
        let same = |of: fn(&Row, &Row) -> bool| pairs.iter().filter(|p| of(&p[0], &p[1])).count();
        assert!(same(|a, b| a.2 == b.2) * 100 > pairs.len() * 98, "{schema:?}");
        assert!(same(|a, b| a.3 == b.3) * 2 < pairs.len(), "{schema:?}");
        // An instrument's pressure moves by one per cent an event at most; not all events are updates.
        let is_mbo = schema == Schema::Mbo;
        for id in rows.iter().map(|row| row.0.0).collect::<BTreeSet<_>>() {
            let of: Vec<_> = rows.iter().filter(|row| row.0.0 == id).collect();
            assert!(!is_mbo || of.windows(2).all(|p| (p[0].3 - p[1].3).abs() <= 1));
        }
        // Records of one event have one truth.
        let of_event: BTreeSet<_> = rows.iter().map(|row| (row.0, row.2, row.3)).collect();
        let events: BTreeSet<_> = rows.iter().map(|row| row.0).collect();
        assert_eq!(of_event.len(), events.len());
    }
}

#[test]
fn folders_have_the_truth_of_all_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(Schema::Mbp10);
    let (plain, told) = (folder.path().join("plain"), folder.path().join("told"));
    let files = write_sessions(&config, &plain).unwrap();
    let (mut in_folder, mut in_file) = (Vec::new(), Vec::new());
    write_sessions_with_truth(&config, &told, &|| false, &mut |of| {
        in_folder.push(row(of));
        Ok(())
    })
    .unwrap();
    for file in files {
        let name = file.path.file_name().unwrap();
        assert!(fs::read(&file.path).unwrap() == fs::read(told.join(name)).unwrap(), "{name:?}");
    }
    write_file_with_truth(&config, &folder.path().join("all.dbn"), &|| false, &mut |of| {
        in_file.push(row(of));
        Ok(())
    })
    .unwrap();
    assert!(in_folder == in_file, "one market, whatever files it is in");
}

#[test]
fn a_sink_that_refuses_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dbn.zst");
    let mut left = 100;
    let refused = write_file_with_truth(&config(Schema::Mbo), &path, &|| false, &mut |_| {
        left -= 1;
        if left == 0 { Err(io::Error::other("full")) } else { Ok(()) }
    });
    assert!(matches!(refused, Err(SynthError::Truth(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
