//! Faults: in each all files are in the store once, whole, and as one machine writes them.

use std::time::Duration;

use crate::lab::{Lab, summary};

fn sleep_s(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

#[test]
fn a_killed_executor() {
    let (mut lab, submit) = Lab::submitted(16, 1.0, &["a", "b"]);
    lab.wait_for_starts(6);
    sleep_s(0.3);
    lab.signal("b", "KILL");
    let (code, found) = summary(&submit.wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &16.into()), "{found}");
    assert!(lab.starts() > 16, "what the executor had at hand is started again");
    lab.assert_same_as_one_machine();
}

#[test]
fn a_hung_executor() {
    let (mut lab, submit) = Lab::submitted(16, 1.0, &["a", "b"]);
    lab.wait_for_starts(6);
    lab.signal("b", "STOP");
    let (code, found) = summary(&submit.wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &16.into()), "{found}");
    lab.assert_same_as_one_machine();
    // It comes back when all is done, and changes nothing.
    lab.signal("b", "CONT");
    sleep_s(2.0);
    lab.assert_same_as_one_machine();
}

#[test]
fn a_late_executor() {
    let (mut lab, submit) = Lab::submitted(12, 1.0, &["a"]);
    lab.wait_for_starts(2);
    lab.start_executor("late");
    let (code, found) = summary(&submit.wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &12.into()), "{found}");
    assert_eq!(found["workers"].as_object().unwrap().len(), 2, "the late one helps: {found}");
    assert_eq!(lab.starts(), 12);
    lab.assert_same_as_one_machine();
}

#[test]
fn a_dead_scheduler() {
    let (mut lab, submit) = Lab::submitted(12, 1.0, &["a", "b"]);
    lab.wait_for_starts(6);
    lab.signal("scheduler", "KILL");
    sleep_s(0.5);
    lab.start_scheduler();
    let (code, found) = summary(&submit.wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (0, &12.into()), "{found}");
    assert!(found["attempts"].as_u64().unwrap() > 1, "{found}");
    assert!(found["resumed"].as_u64().unwrap() > 0, "what was done is not done again: {found}");
    lab.assert_same_as_one_machine();
}

#[test]
fn poison_and_damage() {
    let mut lab = Lab::new(8, 0.2);
    // One that ends its process by a signal, and one that is cut.
    std::fs::copy(lab.path("in/000.mbp-10.dbn.zst"), lab.path("in/poison.mbp-10.dbn.zst")).unwrap();
    let bytes = std::fs::read(lab.path("in/001.mbp-10.dbn.zst")).unwrap();
    let cut = lab.path("in/cut.mbp-10.dbn.zst");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    lab.start(&["a", "b"]);
    let (code, found) = summary(&lab.submit().wait_with_output().unwrap());
    assert_eq!((code, &found["converted"]), (2, &8.into()), "{found}");
    let failed = found["failed"].as_array().unwrap();
    let error_of = |name: &str| {
        let of = |f: &&serde_json::Value| f["path"].as_str().unwrap().contains(name);
        failed.iter().find(of).unwrap()["error"].as_str().unwrap().to_owned()
    };
    assert_eq!(failed.len(), 2, "{found}");
    assert!(error_of("poison").contains("signal"), "{}", error_of("poison"));
    assert!(error_of("cut").contains("truncated"), "{}", error_of("cut"));
    assert!(lab.is_running("a") && lab.is_running("b"), "a bad file takes no executor along");
    for path in ["in/poison.mbp-10.dbn.zst", "in/cut.mbp-10.dbn.zst"] {
        std::fs::remove_file(lab.path(path)).unwrap();
    }
    lab.assert_same_as_one_machine();
}
