//! Any text as a Run document, as baselines and reports read them: an error, or a document that
//! says the same when written and read again.

use lob_metrics::Run;

pub(crate) fn check(text: &str) {
    let Ok(run) = Run::from_json(text) else { return };
    let written = run.to_json().expect("a document that could be read");
    let again = Run::from_json(&written).expect("our own document");
    assert_eq!(again.to_json().expect("read twice"), written);
}
