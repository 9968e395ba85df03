//! What data a store holds: the same wherever and however it is written, another for other data.

use std::path::Path;

use lob_store::{Compression, SourceMeta, Store, StoreFingerprint, StoreMeta, WriterOptions};

use crate::made::{meta, options, rows};

fn write(path: &Path, n: usize, meta: StoreMeta, options: WriterOptions) {
    let step = meta.price_step;
    let mut writer = lob_store::BinWriter::create(path, step, options).unwrap();
    for row in rows(n, 5) {
        writer.push(&row).unwrap();
    }
    writer.finish(meta).unwrap();
}

fn of(path: &Path) -> StoreFingerprint {
    Store::open(path).unwrap().fingerprint()
}

#[test]
fn a_fingerprint_is_of_the_data_and_not_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let other = || StoreMeta { instrument_id: 8, day: "2024-01-03".to_owned(), ..meta() };
    let named = |name: &str| {
        let source = SourceMeta { name: name.to_owned(), ..meta().sources[0].clone() };
        vec![source, SourceMeta { fingerprint: "11".repeat(16), ..SourceMeta::default() }]
    };
    let first = StoreMeta { sources: named("a.dbn"), ..meta() };
    let renamed = {
        let mut sources = named("b.dbn.zst");
        sources.reverse();
        StoreMeta { sources, ..meta() }
    };
    write(&at("a/1.parquet"), 90, first, options(Compression::Zstd(1)));
    write(&at("a/2.parquet"), 60, other(), options(Compression::Zstd(1)));
    // Other names, places, compression and order.
    write(&at("b/deep/er/9.parquet"), 90, renamed, options(Compression::None));
    write(&at("b/0.parquet"), 60, other(), options(Compression::Zstd(9)));
    assert_eq!(of(&at("a")), of(&at("b")));
    assert_ne!(of(&at("a")), of(&at("a/1.parquet")), "one file of two");
    assert_eq!(of(&at("a/2.parquet")), of(&at("b/0.parquet")));
}

#[test]
fn other_sources_settings_and_rows_are_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let of = |n, meta| {
        write(&path, n, meta, options(Compression::Zstd(1)));
        of(&path)
    };
    let mut seen = vec![of(90, meta())];
    seen.push(of(89, meta()));
    let changes: [&dyn Fn(&mut StoreMeta); 11] = [
        &|m| m.sources[0].fingerprint = "01".repeat(16),
        &|m| m.sources[0].records += 1,
        &|m| m.sources.clear(),
        &|m| m.dataset.push('X'),
        &|m| m.symbol.push('X'),
        &|m| m.publisher_id = None,
        &|m| m.bin_rule = lob_depth::BinRule::Updates(99),
        &|m| m.size_aggregate = lob_depth::SizeAggregate::Last,
        &|m| m.label.offset += 1,
        &|m| m.label.edges[0] -= 1e-9,
        &|m| m.day = "2024-01-09".to_owned(),
    ];
    for change in changes {
        let mut meta = meta();
        change(&mut meta);
        seen.push(of(90, meta));
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}
