use std::path::PathBuf;

use burn_tensor::backend::AutodiffBackend;
use lob_store::StoreFingerprint;

use super::{Trainer, diverged};
use crate::ContrastiveError;
use crate::checkpoint::{Checkpoints, Snapshot};
use crate::metrics_log::MetricsLog;
use crate::run::{CheckpointPlan, RunOptions, StepReport};
use crate::team::Team;

/// The folder of a run, as far as this rank sees it.
pub(super) struct RunFolder {
    checkpoints: Option<Checkpoints>,
    /// On the rank that writes there.
    log: Option<MetricsLog>,
    /// Step of the newest checkpoint.
    saved: usize,
    /// The store trained on.
    data: Option<StoreFingerprint>,
}

impl RunFolder {
    /// Opens the folder, and puts `trainer` where its newest checkpoint is if the run is to be
    /// resumed. Every rank reads, the leader alone writes.
    pub(super) fn open<A: AutodiffBackend>(
        plan: Option<CheckpointPlan>,
        options: &RunOptions<'_>,
        team: &Team<'_>,
        trainer: &mut Trainer<'_, A>,
    ) -> Result<Self, ContrastiveError> {
        let (resume, data) = (options.resume, options.data);
        let nowhere = Self { checkpoints: None, log: None, saved: 0, data };
        let Some(plan) = plan else { return Ok(nowhere) };
        let is_writer = team.is_leader();
        if !is_writer && !plan.folder.exists() {
            return Ok(nowhere);
        }
        let checkpoints =
            if is_writer { Checkpoints::open(plan)? } else { Checkpoints::look(plan) };
        match checkpoints.newest(resume)? {
            Some((path, snapshot)) => {
                let before = snapshot.data.filter(|_| !options.allow_other_data);
                if let Some((before, now)) = before.zip(data).filter(|(before, now)| before != now)
                {
                    return Err(ContrastiveError::OtherData { path, before, now });
                }
                trainer.restore(&path, snapshot)?;
            }
            None if is_writer => checkpoints.refuse_used(resume)?,
            None => {}
        }
        let log = match is_writer {
            true => Some(MetricsLog::open(checkpoints.folder(), trainer.losses.len())?),
            false => None,
        };
        Ok(Self { checkpoints: Some(checkpoints), log, saved: trainer.losses.len(), data })
    }

    pub(super) fn log(&mut self, report: &StepReport) -> Result<(), ContrastiveError> {
        self.log.as_mut().map_or(Ok(()), |log| log.write(report))
    }

    /// Names the newest checkpoint in what stops a run: none is written that is not finite.
    pub(super) fn with_last_good(&mut self, error: ContrastiveError) -> ContrastiveError {
        match error {
            ContrastiveError::Diverged { step, what, .. } => {
                // The lines up to this step stand in the log; the reason to stop counts more.
                drop(self.log.as_mut().map(MetricsLog::flush));
                let newest =
                    self.checkpoints.as_ref().and_then(|found| found.newest_path().ok()?);
                ContrastiveError::Diverged { step, what, checkpoint: newest }
            }
            other => other,
        }
    }

    /// Writes a checkpoint if one is due that is not there yet, and gives its path.
    pub(super) fn save<A: AutodiffBackend>(
        &mut self,
        trainer: &Trainer<'_, A>,
        is_last: bool,
    ) -> Result<Option<PathBuf>, ContrastiveError> {
        let step = trainer.losses.len();
        match (&self.checkpoints, &mut self.log) {
            (Some(checkpoints), Some(log))
                if step > self.saved && (is_last || checkpoints.is_due(step)) =>
            {
                log.flush()?;
                self.saved = step;
                let snapshot = Snapshot { data: self.data, ..trainer.snapshot() };
                let flaw = snapshot.check_finite().err().map(|what| diverged(what, step));
                match flaw {
                    Some(error) => Err(self.with_last_good(error)),
                    None => checkpoints.save(&snapshot).map(Some),
                }
            }
            _ => Ok(None),
        }
    }
}
