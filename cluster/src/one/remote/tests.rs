//! What is uploaded, in which order, and what counts as finished afterwards.

use std::sync::Arc;

use super::*;
use crate::bucket::flaky::Flaky;

const OUTPUTS: [&str; 3] = ["day=1/a.parquet", "day=1/b.parquet", "day=2/c.parquet"];

fn stamp(e_tag: &str) -> Stamp {
    Stamp { e_tag: e_tag.to_owned(), bytes: 3, flags: Vec::new(), lob: "lob 1".to_owned() }
}

fn bucket(store: &Arc<Flaky>) -> Bucket {
    let Place::Object(at) = "s3://b/store".parse().unwrap() else { panic!() };
    Bucket::over(Arc::clone(store) as _, &at)
}

/// A store of one task as `lob` leaves it, and the row of it.
fn converted(root: &Path) -> Row {
    let outputs: Vec<_> = OUTPUTS
        .iter()
        .map(|name| serde_json::json!({"path": name, "bytes": name.len(), "rows": 2}))
        .collect();
    for name in OUTPUTS {
        write(&root.join(name), name).unwrap();
    }
    let input = serde_json::json!({"path": "s3://b/x.dbn", "sha256": "5a", "records": 7});
    let line = serde_json::json!({"outcome": {"input": input, "outputs": outputs}});
    write(&root.join(journal_key("task-1")), &format!("{line}\n")).unwrap();
    let outputs = OUTPUTS.map(str::to_owned).to_vec();
    Row { sha256: Some("5a".to_owned()), records: 7, rows: 6, outputs, ..Row::default() }
}

#[tokio::test]
async fn the_journal_comes_last_and_counts() {
    let (root, store) = (tempfile::tempdir().unwrap(), Arc::new(Flaky::default()));
    let (out, row) = (bucket(&store), converted(root.path()));
    let (first, other) = (stamp("1"), stamp("2"));
    let go = async || publish(&out, "task-1", root.path(), &row, Some(&first)).await;
    let is_finished = async || finished(&out, "task-1", &first).await.unwrap().is_some();

    // Neither a part of the data nor all of it is a result.
    for bad in ["c.parquet", "task-1"] {
        store.fail_key(Some(bad));
        assert!(go().await.is_err());
        assert!(!is_finished().await, "{bad}");
        assert!(out.list(JOURNALS).await.unwrap().is_empty());
    }
    store.fail_key(None);
    let before = store.puts().len();
    let bytes: usize = OUTPUTS.iter().map(|name| name.len()).sum();
    assert_eq!(go().await.unwrap(), bytes as u64);
    let puts = &store.puts()[before..];
    assert_eq!((puts.len(), &*puts[3]), (4, "store/.loblab-journals/task-1.jsonl"));

    let again = finished(&out, "task-1", &first).await.unwrap().unwrap();
    assert_eq!((again.resumed, again.records, again.rows), (true, 7, 6));
    assert_eq!(again.outputs, OUTPUTS);
    assert!(finished(&out, "task-1", &other).await.unwrap().is_none(), "another ETag");
    // One that is gone or cut.
    out.write(OUTPUTS[1], "x".to_owned()).await.unwrap();
    assert!(!is_finished().await);
    out.remove(OUTPUTS[1]).await.unwrap();
    assert!(!is_finished().await);
}

#[tokio::test]
async fn the_shadow_holds_what_the_bucket_holds() {
    let (root, store) = (tempfile::tempdir().unwrap(), Arc::new(Flaky::default()));
    let (out, row) = (bucket(&store), converted(root.path()));
    publish(&out, "task-1", root.path(), &row, None).await.unwrap();
    out.remove(OUTPUTS[2]).await.unwrap();
    let there = tempfile::tempdir().unwrap();
    let names = shadow(&out, "task-1", there.path()).await.unwrap();
    assert_eq!(names, OUTPUTS[..2]);
    for name in &names {
        assert_eq!(there.path().join(name).metadata().unwrap().len(), name.len() as u64);
    }
    assert!(there.path().join(journal_key("task-1")).exists());
    // `lob` removes what is stale, and so the objects go.
    fs::remove_file(there.path().join(OUTPUTS[0])).unwrap();
    remove_stale(&out, there.path(), &names).await.unwrap();
    assert!(out.head(OUTPUTS[0]).await.unwrap().is_none());
    assert!(out.head(OUTPUTS[1]).await.unwrap().is_some());
}

#[tokio::test]
async fn a_journal_names_nothing_outside_the_store() {
    let (root, store) = (tempfile::tempdir().unwrap(), Arc::new(Flaky::default()));
    let out = bucket(&store);
    for path in ["../x", "/etc/x", "a/../../x"] {
        let output = serde_json::json!({"path": path, "bytes": 1, "rows": 1});
        let input = serde_json::json!({"path": "x", "sha256": null, "records": 1});
        let line = serde_json::json!({"outcome": {"input": input, "outputs": [output]}});
        out.write(&journal_key("task-1"), format!("{line}\n")).await.unwrap();
        let error = shadow(&out, "task-1", root.path()).await.unwrap_err();
        assert!(error.to_string().contains("no path within a store"), "{error}");
    }
}

#[test]
fn stamps_are_replaced() {
    let once = stamped("{\"a\":1}\n{\"b\":{\"c\":2}}\n", &stamp("\"1\"")).unwrap();
    assert!(
        once.starts_with("{\"a\":1}\n{\"b\":{\"c\":2},\"object\":{\"e_tag\":\"\\\"1\\\"\""),
        "{once}"
    );
    let twice = stamped(&once, &stamp("2")).unwrap();
    assert_eq!(twice, stamped("{\"a\":1}\n{\"b\":{\"c\":2}}\n", &stamp("2")).unwrap());
    for line in twice.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn settings_from_files_are_never_assumed_the_same() {
    let meta = ObjectMeta {
        location: "x".into(),
        last_modified: Default::default(),
        size: 3,
        e_tag: Some("1".to_owned()),
        version: None,
    };
    let job = |flags: &[&str]| Job {
        out: "/store".parse().unwrap(),
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        timeout_s: 0,
    };
    assert_eq!(Stamp::new(&meta, &job(&[]), "lob 1"), Some(stamp("1")));
    assert!(Stamp::new(&meta, &job(&["--config=x.toml"]), "lob 1").is_none());
    assert!(Stamp::new(&meta, &job(&["--label-edges", "x"]), "lob 1").is_none());
    assert!(Stamp::new(&meta, &job(&["--truth", "x"]), "lob 1").is_none());
    let untagged = ObjectMeta { e_tag: None, ..meta };
    assert!(Stamp::new(&untagged, &job(&[]), "lob 1").is_none());
}
