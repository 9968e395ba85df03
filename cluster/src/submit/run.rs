//! One submission of a job.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use ballista_core::{execution_plans::execute_physical_plan, extension::SessionConfigExt};
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::TryStreamExt;

use crate::{
    attempts::Log,
    codec::Codec,
    job::Job,
    place::Place,
    plan::ConvertExec,
    row::{self, Row},
};

/// Waits until something listens at the scheduler's address.
///
/// # Errors
/// Nothing does within `limit`.
pub(super) async fn wait_for(scheduler: &str, limit: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        match tokio::net::TcpStream::connect(scheduler).await {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() >= limit => {
                return Err(error).with_context(|| {
                    format!(
                        "no scheduler at {scheduler} within {} s\nhint: start one with \
                         `lob-cluster scheduler`, or name it with --scheduler",
                        limit.as_secs()
                    )
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// How long the rows of a job may take after its last file is converted.
const SETTLE: Duration = Duration::from_secs(15);

/// Returns when every file is converted and the job has still not come back a while later. Rows
/// are fetched from the executors; one that hangs with rows at hand would be waited for without
/// end, although nothing but the rows is missing: the next attempt finds all files converted.
async fn stalled(job: &Job, groups: &[Vec<String>], log: &mut Log, before: &BTreeMap<String, u64>) {
    // A look at a bucket is a request for each thousand logs and each that has changed.
    let interval_s = if matches!(job.out, Place::Path(_)) { 1 } else { 3 };
    loop {
        tokio::time::sleep(Duration::from_secs(interval_s)).await;
        let Ok(now) = log.done().await else { continue };
        let is_done = |path| now.get(path) > before.get(path);
        if groups.iter().flatten().all(is_done) {
            return tokio::time::sleep(SETTLE).await;
        }
    }
}

/// Settings of the job and of the connection to the cluster.
fn session() -> SessionConfig {
    SessionConfig::new_with_ballista()
        .with_ballista_job_name("lob convert")
        // One group a task; the default gives all groups of a small job to one executor.
        .set_str("ballista.scheduler.max_partitions_per_task", "1")
        // A peer that answers no ping is given up; the default asks every five minutes.
        .set_str("ballista.client.grpc_http2_keepalive_interval_seconds", "10")
}

/// Runs one job and returns its rows, which come at its end.
///
/// # Errors
/// The job as a whole failed: the scheduler died, or all executors did.
pub(super) async fn job(scheduler: &str, groups: &[Vec<String>], job: &Job) -> Result<Vec<Row>> {
    let plan = ConvertExec::over(groups, job.clone())?;
    let session = session();
    let id = format!("lob-{}-{}", std::process::id(), groups.len());
    let config = session.ballista_config();
    let codec = Codec::default();
    let url = format!("http://{scheduler}");
    let mut log = Log::new(&job.out);
    let before = log.done().await?;
    let collected = async {
        let stream =
            execute_physical_plan::<PhysicalPlanNode>(url, &config, plan, &codec, id, session);
        let stream = stream.await.context("submit the job")?;
        stream.try_collect::<Vec<_>>().await.context("run the job")
    };
    let batches = tokio::select! {
        batches = collected => batches?,
        () = stalled(job, groups, &mut log, &before) => bail!(
            "all files are converted, but their rows did not come within {} s: an executor hangs",
            SETTLE.as_secs()
        ),
    };
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(row::rows(batch)?);
    }
    if rows.is_empty() {
        bail!("the job came back without a row");
    }
    Ok(rows)
}
