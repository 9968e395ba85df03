//! Without faults: each file once, and the store of one machine.

use std::process::Command;

use crate::lab::{FLAGS, Lab, summary};

#[test]
fn without_faults_each_file_is_started_once() {
    let mut lab = Lab::new(20, 0.2);
    lab.start(&["a", "b"]);
    let (code, found) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!(
        (code, &found["converted"], &found["attempts"]),
        (0, &20.into(), &1.into()),
        "{found}"
    );
    assert_eq!(lab.starts(), 20, "a plan that runs whole in every task starts each file often");
    assert_eq!(found["workers"].as_object().unwrap().len(), 2, "both executors work: {found}");
    lab.assert_same_as_one_machine();

    // Once more: everything is there already.
    let (code, again) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &again["resumed"], &again["rows"]), (0, &20.into(), &found["rows"]));
    lab.assert_same_as_one_machine();
}

#[test]
fn with_one_file_of_edges_no_byte_differs() {
    let mut lab = Lab::new(6, 0.1);
    lab.fit_edges();
    lab.start(&["a", "b"]);
    let (code, found) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &6.into()), "{found}");
    lab.assert_same_as_one_machine();
}

#[test]
fn one_without_a_cluster() {
    let lab = Lab::new(1, 0.0);
    let output = Command::new(env!("CARGO_BIN_EXE_lob-cluster"))
        .arg("one")
        .arg(lab.path("in/000.mbp-10.dbn.zst"))
        .arg("--out")
        .arg(lab.path("store"))
        .arg("--lob")
        .arg(lab.path("lob-slow"))
        .arg("--")
        .args(FLAGS)
        .output()
        .unwrap();
    let (code, row) = summary(&output);
    assert_eq!((code, &row["records"]), (0, &1_500.into()), "{row}");
}

#[test]
fn nobody_there_is_one_clear_line() {
    let lab = Lab::new(1, 0.0);
    let submit = |extra: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_lob-cluster"))
            .args(["submit", "--wait", "0", "--scheduler", &lab.scheduler])
            .arg("--out")
            .arg(lab.path("store"))
            .arg(lab.path("in"))
            .args(extra)
            .output()
            .unwrap()
    };
    for (extra, expected) in
        [(&[][..], "no scheduler at"), (&["--", "--out", "x"], "is set by the cluster itself")]
    {
        let output = submit(extra);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected) && text.contains("hint:"), "{text}");
    }
}
