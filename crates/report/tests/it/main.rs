//! The report as files: golden texts, hostile strings, pictures, and a real browser.

mod browser;
mod files;
mod golden;
mod hostile;
mod profile;
mod seeds;

use lob_fixtures::evidence;

use lob_metrics::Run;
use lob_report::{Format, render_all};

/// One rendered text file of a run.
fn text(run: &Run, format: Format) -> String {
    let files = render_all(run, &[format]).expect("the texts need nothing that can fail");
    String::from_utf8(files[0].bytes.clone()).expect("texts are UTF-8")
}
