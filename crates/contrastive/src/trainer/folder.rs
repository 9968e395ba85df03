use std::path::PathBuf;

use burn_tensor::backend::AutodiffBackend;

use super::Trainer;
use crate::ContrastiveError;
use crate::checkpoint::Checkpoints;
use crate::metrics_log::MetricsLog;
use crate::run::{CheckpointPlan, StepReport};
use crate::team::Team;

/// The folder of a run, as far as this rank writes there.
pub(super) struct RunFolder {
    writer: Option<(Checkpoints, MetricsLog)>,
}

impl RunFolder {
    /// Opens the folder, and puts `trainer` where its newest checkpoint is if the run is to be
    /// resumed. Every rank reads, the leader alone writes.
    pub(super) fn open<A: AutodiffBackend>(
        plan: Option<CheckpointPlan>,
        resume: bool,
        team: &Team<'_>,
        trainer: &mut Trainer<'_, A>,
    ) -> Result<Self, ContrastiveError> {
        let Some(plan) = plan else { return Ok(Self { writer: None }) };
        let is_writer = team.is_leader();
        if !is_writer && !plan.folder.exists() {
            return Ok(Self { writer: None });
        }
        let checkpoints =
            if is_writer { Checkpoints::open(plan)? } else { Checkpoints::look(plan) };
        match checkpoints.newest(resume)? {
            Some((path, snapshot)) => trainer.restore(&path, snapshot)?,
            None if is_writer => checkpoints.refuse_used(resume)?,
            None => {}
        }
        if !is_writer {
            return Ok(Self { writer: None });
        }
        let log = MetricsLog::open(checkpoints.folder(), trainer.losses.len())?;
        Ok(Self { writer: Some((checkpoints, log)) })
    }

    pub(super) fn log(&mut self, report: &StepReport) -> Result<(), ContrastiveError> {
        self.writer.as_mut().map_or(Ok(()), |(_, log)| log.write(report))
    }

    /// Writes a checkpoint if one is due, and gives its path.
    pub(super) fn save<A: AutodiffBackend>(
        &mut self,
        trainer: &Trainer<'_, A>,
        is_last: bool,
    ) -> Result<Option<PathBuf>, ContrastiveError> {
        match &mut self.writer {
            Some((checkpoints, log)) if is_last || checkpoints.is_due(trainer.losses.len()) => {
                log.flush()?;
                checkpoints.save(&trainer.snapshot()).map(Some)
            }
            _ => Ok(None),
        }
    }
}
