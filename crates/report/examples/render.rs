//! Renders a stored Run: `cargo run -p lob-report --example render -- RUN.json OUT [BASE.json]`.

use std::error::Error;
use std::path::Path;

use lob_metrics::Run;
use lob_report::{Format, render_all_with_baseline};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, out, base @ ..] = &arguments[..] else {
        return Err("give a Run document and a folder".into());
    };
    let read = |path: &String| -> Result<Run, Box<dyn Error>> {
        Ok(Run::from_json(&std::fs::read_to_string(path)?)?)
    };
    let base = base.first().map(read).transpose()?;
    for file in render_all_with_baseline(&read(run)?, base.as_ref(), &Format::ALL)? {
        let path = Path::new(out).join(&file.file_name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(path, &file.bytes)?;
    }
    Ok(())
}
