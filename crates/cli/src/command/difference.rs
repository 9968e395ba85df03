//! Two profiles held against each other: `lob profile --diff`, `lob compare --profiles` and
//! `lob ab --profile`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lob_metrics::{Run, shown};
use lob_profiler::stacks::{Difference, StackTimes};
use lob_runs::read_run;

use crate::output;

/// What `lob profile` leaves in its folder.
const PROFILE: &str = "profile.speedscope.json";
const FOLDED: &str = "profile.folded";
const RUN: &str = "run.json";
const PICTURE: &str = "difference.svg";

/// Reads a profile: a folder of `lob profile`, a file in it, or the files of another tool.
pub(crate) fn read(path: &Path) -> Result<StackTimes> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let file = if path.is_dir() || path.file_name().is_some_and(|name| name == RUN) {
        let profile = folder.join(PROFILE);
        if profile.exists() { profile } else { folder.join(FOLDED) }
    } else {
        path.to_owned()
    };
    if !file.exists() {
        bail!(
            "`{}` holds neither `{PROFILE}` nor `{FOLDED}`\nhint: give two folders that `lob \
             profile --out DIR` has written, of programs whose stacks could be sampled",
            shown(folder.display())
        );
    }
    let name = || shown(file.display()).to_string();
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", name()))?;
    if file.extension().is_some_and(|ending| ending == "json") {
        return StackTimes::from_speedscope(&text).with_context(|| format!("`{}`", name()));
    }
    let run = folder.join(RUN);
    let interval_s = read_run(&run).ok().and_then(|run| sample_s(&run)).with_context(|| {
        format!(
            "`{}` has samples and no seconds, and `{}` does not say how many a sample stands for",
            name(),
            shown(run.display())
        )
    })?;
    StackTimes::from_folded(&text, interval_s).with_context(|| format!("`{}`", name()))
}

/// CPU seconds a sample of a profiled program stands for.
fn sample_s(run: &Run) -> Option<f64> {
    let value = |name: &str| {
        let all = run.scenarios.iter().flat_map(|scenario| &scenario.measurements);
        all.into_iter().find(|m| m.metric == name)?.value()
    };
    let seconds = value("command.cpu_time")? / value("command.stack_samples")?;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

/// Prints which functions took the extra time and, for a folder, draws the picture into it. Where
/// standard output is for a document the text goes to standard error.
pub(crate) fn show(
    base: StackTimes,
    current: StackTimes,
    out: Option<&Path>,
    on_stdout: bool,
) -> Result<()> {
    let difference = Difference::of(base, current);
    let table = difference.table();
    if on_stdout {
        output::print_line(table.trim_end())?;
    } else {
        eprintln!("{}", table.trim_end());
    }
    if let Some(folder) = out {
        let file: PathBuf = folder.join(PICTURE);
        let title = "CPU time of a launch, before and now";
        output::write_file(&file, difference.flame_graph_svg(title).as_bytes())?;
        output::print_line(&shown(file.display()).to_string())?;
    }
    Ok(())
}
