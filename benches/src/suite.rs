//! The parent: one child a scenario, one Run document, written again after each.

mod children;
mod document;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lob_metrics::{HistoryEntry, Run, Scenario, Status, shown};
use lob_report::Beside;
use lob_runs::{append_history, read_history_file, read_run, write_reports};

use crate::options::{Options, Selection};
use crate::scenario::{self, Spec};
use crate::state::{State, write_json};
use crate::targets::{default_targets, read_targets};
use crate::trace::Merged;
pub(crate) use children::Child;
use document::without_result;

/// Working files of the last launch; marked, so that nobody else's folder is ever cleared.
const WORK: &str = "work";
const WORK_MARK: &str = ".loblab-work";

/// Told what happens, for a progress line.
pub trait Progress {
    /// A scenario begins; `position` counts from one.
    fn begin(&mut self, position: usize, total: usize, spec: &Spec);
    /// A scenario has ended.
    fn end(&mut self, scenario: &Scenario);
}

/// What a launch left behind.
#[derive(Debug)]
pub struct Outcome {
    /// The Run document.
    pub run: Run,
    /// Every file written into the output folder.
    pub files: Vec<PathBuf>,
    /// The trace of all scenarios, where [`Options::trace`] asked for one.
    pub trace: Option<String>,
    /// Whether the launch was interrupted; the Run document holds what was done by then.
    pub interrupted: bool,
}

impl Outcome {
    /// 0 good, 1 a target missed, 2 a scenario failed or the launch was interrupted.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let failed = |s: &Scenario| matches!(s.status, Status::Failed | Status::TimedOut);
        if self.interrupted || self.run.scenarios.iter().any(failed) {
            2
        } else {
            u8::from(!self.run.passed())
        }
    }
}

/// Runs the selected scenarios, each in a child of `executable`, and writes the Run document and
/// its reports into `options.out`. `stop` ends the launch early with a valid partial document.
///
/// The child is started as `EXECUTABLE bench-child --job FILE --result FILE` and must call
/// [`crate::run_child`].
///
/// # Errors
/// Unknown names in the selection, inputs that do not exist, an output folder that cannot be used.
pub fn run_suite(
    executable: &Path,
    options: &Options,
    selection: &Selection,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let mut specs = scenario::select(&selection.suites, &selection.tests)?;
    if options.criterion.is_none() && selection.is_everything() {
        // Nothing to harvest, and nobody asked for it.
        specs.retain(|s| s.suite != "criterion");
    }
    let specs = scenario::shuffled(&specs, options.order_seed);
    for input in &options.inputs {
        if !input.is_file() {
            bail!("`{}` is not a file\nhint: --input takes DBN files", shown(input.display()));
        }
    }
    let targets = match &options.targets {
        Some(path) => read_targets(path)?,
        None => default_targets()?,
    };
    let baseline = options.baseline.as_deref().map(read_run).transpose()?;
    // A history that cannot be read is found out before the work, not after it.
    let mut history = options.history.as_deref().map(read_history_file).transpose()?;
    let work = fresh_work_folder(&options.out)?;
    let started = Instant::now();
    let mut run = document::open(options);
    let order: Vec<&str> = specs.iter().map(|s| s.id).collect();
    run.settings.insert("order".to_owned(), order.into());
    let mut state = State::default();
    let mut totals = document::Totals::default();
    let mut trace = options.trace.map(Merged::new);
    let run_json = options.out.join("run.json");
    let mut interrupted = false;
    for (position, spec) in specs.iter().enumerate() {
        interrupted |= stop.load(Ordering::Relaxed);
        if interrupted {
            let why = "the launch was interrupted before it".to_owned();
            document::insert(&mut run, without_result(spec, Status::Skipped, why, 0.0));
            continue;
        }
        progress.begin(position + 1, specs.len(), spec);
        let scenario = match missing_need(spec, &run.scenarios) {
            Some(reason) => without_result(spec, Status::Skipped, reason, 0.0),
            None => {
                let child = Child { executable, work: &work, spec, options };
                let done = child.run(&state, stop)?;
                interrupted = done.interrupted;
                trace.as_mut().map_or(Ok(()), |trace| trace.take(&work, spec.id))?;
                if let Some(after) = done.state {
                    state = after;
                }
                totals.add(done.cpu_s, done.scope_calls);
                done.scenario
            }
        };
        document::end(&mut run, &state, scenario, progress);
        let is_whole = position + 1 == specs.len() && selection.is_everything() && !interrupted;
        let elapsed_s = started.elapsed().as_secs_f64();
        document::refresh(&mut run, &state, &totals, elapsed_s, &targets, is_whole);
        write_json(&run_json, &run)?;
    }
    if interrupted {
        run.settings.insert("interrupted".to_owned(), true.into());
        run.notes.push("interrupted: what did not run by then is skipped".to_owned());
    } else if let (Some(entries), Some(path)) = (&mut history, &options.history) {
        let entry = HistoryEntry::of(&run);
        append_history(path, &entry)?;
        entries.push(entry);
    }
    let beside = Beside {
        baseline: baseline.as_ref(),
        history: history.as_deref().unwrap_or_default(),
        ..Beside::default()
    };
    let files = write_reports(&run, &beside, &options.out)?;
    Ok(Outcome { run, files, trace: trace.map(Merged::finish), interrupted })
}

fn missing_need(spec: &Spec, done: &[Scenario]) -> Option<String> {
    let ran = |s: &Scenario| matches!(s.status, Status::Passed | Status::Partly);
    let held = |need: &&&str| done.iter().any(|s| s.id == **need && ran(s));
    let need = spec.needs.iter().find(|need| !held(need))?;
    Some(format!("needs `{need}`, which did not pass"))
}

pub(crate) fn fresh_work_folder(out: &Path) -> Result<PathBuf> {
    let work = out.join(WORK);
    if work.exists() {
        if !work.join(WORK_MARK).exists() {
            bail!(
                "`{}` exists and is not a working folder of ours\nhint: choose another --out",
                shown(work.display())
            );
        }
        std::fs::remove_dir_all(&work)
            .with_context(|| format!("cannot clear `{}`", shown(work.display())))?;
    }
    std::fs::create_dir_all(&work)
        .with_context(|| format!("cannot make `{}`", shown(work.display())))?;
    std::fs::write(work.join(WORK_MARK), "")
        .with_context(|| format!("cannot write into `{}`", shown(work.display())))?;
    Ok(work)
}
