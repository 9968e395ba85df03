//! Starting, watching and stopping the process of one scenario.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lob_metrics::{Scenario, Status, shown};

use super::document::without_result;
use crate::options::Options;
use crate::scenario::Spec;
use crate::state::{Job, JobResult, State, read_json, write_json};

/// How often a child is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How much of a dead child's standard error is kept.
const STDERR_TAIL_BYTES: usize = 2000;

/// One scenario about to run.
pub(crate) struct Child<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) work: &'a Path,
    pub(crate) spec: &'static Spec,
    pub(crate) options: &'a Options,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) scenario: Scenario,
    pub(crate) state: Option<State>,
    pub(crate) cpu_s: Option<f64>,
    pub(crate) scope_calls: u64,
    pub(crate) interrupted: bool,
}

enum End {
    Exited(ExitStatus),
    TimedOut,
    Interrupted,
}

impl Child<'_> {
    /// Runs the scenario to its end, its time cap or `stop`.
    pub(crate) fn run(&self, state: &State, stop: &AtomicBool) -> Result<Done> {
        let id = self.spec.id;
        let job = self.work.join(format!("{id}.job.json"));
        let result = self.work.join(format!("{id}.result.json"));
        let stderr = self.work.join(format!("{id}.stderr"));
        let document =
            Job { id: id.to_owned(), options: self.options.clone(), state: state.clone() };
        write_json(&job, &document)?;
        tracing::info!(scenario = id, cap_s = self.spec.time_cap_s, "starting");
        let started = Instant::now();
        let mut child = Command::new(self.executable)
            .arg("bench-child")
            .arg("--job")
            .arg(&job)
            .arg("--result")
            .arg(&result)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                File::create(&stderr)
                    .with_context(|| format!("cannot write `{}`", shown(stderr.display())))?,
            )
            .spawn()
            .with_context(|| format!("cannot start `{}`", shown(self.executable.display())))?;
        let cap = Duration::from_secs(self.time_cap_s());
        let end = loop {
            if let Some(status) = child.try_wait().context("cannot wait for a scenario")? {
                break End::Exited(status);
            }
            if stop.load(Ordering::Relaxed) || started.elapsed() > cap {
                // A child that ended in the meantime cannot be killed; that is fine.
                let _ = child.kill();
                child.wait().context("cannot wait for a scenario")?;
                break if stop.load(Ordering::Relaxed) { End::Interrupted } else { End::TimedOut };
            }
            std::thread::sleep(POLL);
        };
        tracing::info!(scenario = id, elapsed_s = started.elapsed().as_secs_f64(), "ended");
        Ok(self.judge(&end, &result, &stderr, started.elapsed().as_secs_f64(), stop))
    }

    fn time_cap_s(&self) -> u64 {
        let own = self.spec.time_cap_s;
        self.options.time_cap_s.map_or(own, |least| own.min(least))
    }

    fn judge(
        &self,
        end: &End,
        result: &Path,
        stderr: &Path,
        elapsed_s: f64,
        stop: &AtomicBool,
    ) -> Done {
        let lost = |status, reason: String| Done {
            scenario: without_result(self.spec, status, reason, elapsed_s),
            state: None,
            cpu_s: None,
            scope_calls: 0,
            interrupted: stop.load(Ordering::Relaxed),
        };
        match end {
            End::Interrupted => lost(Status::Failed, "interrupted".to_owned()),
            End::TimedOut => {
                lost(Status::TimedOut, format!("stopped at its cap of {} s", self.time_cap_s()))
            }
            End::Exited(status) => match read_json::<JobResult>(result) {
                Ok(done) if status.success() => Done {
                    scenario: done.scenario,
                    state: Some(done.state),
                    cpu_s: done.cpu_s,
                    scope_calls: done.scope_calls,
                    interrupted: false,
                },
                // Ctrl-C reaches the child too, and may end it before we look.
                _ if stop.load(Ordering::Relaxed) => lost(Status::Failed, "interrupted".to_owned()),
                _ => lost(
                    Status::Failed,
                    format!("ended without a result: {status}{}", tail(stderr)),
                ),
            },
        }
    }
}

fn tail(stderr: &Path) -> String {
    let text = std::fs::read(stderr).unwrap_or_default();
    let from = text.len().saturating_sub(STDERR_TAIL_BYTES);
    let text = String::from_utf8_lossy(&text[from..]);
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!("; it said: {text}") }
}
