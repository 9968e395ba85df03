//! `lob train`.

mod memory;
mod ranks;
mod result;
mod settings;

pub(crate) use result::head_words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lob_contrastive::{
    CheckpointPlan, Collective, ContrastiveError, Ended, Prefetch, Prepared, RunOptions,
    StepReport, Stop, TrainConfig, TrainOutcome, prepare, train_with,
};
use lob_metrics::Unit;
use lob_ranks::TcpRanks;
use lob_runs::SETTINGS_FILE;

use super::windows::Source;
use crate::trace::TraceArgs;
use crate::{interrupt, output};
use ranks::RankArgs;
use result::{Trained, conclude, figure, fit_head};
use settings::{Plan, Settings};

/// Train an encoder on windows of a store or of generated signals
///
/// Windows close in time are positives of each other (InfoNCE). The embeddings describe the state
/// of a market; they promise no forecast of prices: see `lob eval`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob train store --steps 1000 --checkpoint runs/a
  lob train store --steps 1000 --checkpoint runs/a --resume
  lob train store --input images --encoder simple --epochs 3 --out model.safetensors
  lob train generated:medium --window 128 --encoder tcn --loss ntxent --json
  lob train store --config train.toml --seed 2 --checkpoint runs/b
  lob train store --symbols ESM4,NQM4 --days 2024-01-02..2024-01-31 --train-until 2024-01-25
  lob train store --input images --workers 4 --prefetch-bytes 67108864

Two processes train one model (the same command for both but for the rank):
  lob train store --checkpoint runs/c --rank 1 --world-size 2 &
  lob train store --checkpoint runs/c --rank 0 --world-size 2

On two machines, which share a secret (in the environment or a file, never an argument):
  export LOB_JOIN_KEY=$(cat ~/.lob-join-key)    # made by `openssl rand -hex 32`
  lob train store --checkpoint runs/d --rank 0 --world-size 2 --coordinator 10.0.0.1:29400

Settings: a flag wins over --config, whose keys are the flags' names: `batch-size = 64`.

A run folder holds settings.toml (as --config reads it), metrics.jsonl, checkpoints
step-N.safetensors, training.json (what --json prints) and model.safetensors; `lob runs` lists and
compares runs. Ctrl-C writes a checkpoint first; --resume goes on as if nothing had happened.")]
pub(crate) struct Args {
    /// A store, one of its files, or generated:simple|medium|complex|mixed
    source: Source,
    /// Folder of the run: checkpoints, metrics.jsonl, model.safetensors
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Go on from the newest checkpoint of the folder
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Go on with another store than the run began with too: other records, settings or rows
    #[arg(long, requires = "resume")]
    allow_other_data: bool,
    /// Where to write the model [default: model.safetensors in the run's folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    ranks: RankArgs,
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether this process talks and writes, for all that train one model.
    pub(crate) fn is_leader(&self) -> bool {
        self.ranks.is_leader()
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let begun = Instant::now();
    let join = args.ranks.plan()?;
    let is_leader = args.is_leader();
    let quiet = quiet || !is_leader;
    let settings = args.settings.merged(args.config.as_deref())?;
    // A device that is not there should be said before a store is read.
    let device = settings.device()?.resolve()?;
    if let Some(fallback) = device.fallback.as_ref().filter(|_| !quiet) {
        eprintln!("{fallback}");
    }
    if args.checkpoint.is_none() && args.out.is_none() && !quiet {
        eprintln!("warning: the model will not be saved: give --checkpoint DIR or --out FILE");
    }
    let prefetch = settings.prefetch()?;
    let (input, options) = (settings.input(&args.source)?, settings.prepare_options(&args.source)?);
    let why = "`signals` x `rows` x `channels`\nhint: fewer of them";
    memory::check_bytes(settings.source_bytes(&args.source), settings.memory_limit(), why)?;
    let prepared = prepare(&input, args.source.path(), &options)?;
    let Plan { config, checkpoint_every, keep } = settings.plan(&prepared)?;
    let (n_inputs, limit) = (prepared.train.n_inputs(), settings.memory_limit());
    memory::check(&config, n_inputs, prefetch, device.device, limit)?;
    if !quiet {
        for note in &prepared.notes {
            eprintln!("{note}");
        }
    }
    // What cannot be fitted should be said before an hour of training.
    let label = match args.source.path().filter(|_| is_leader) {
        Some(path) => settings.head_label(path, &options.choice, &prepared)?,
        None => None,
    };
    let mut ranks = match &join {
        Some(plan) => Some(ranks::join(plan, quiet || args.json)?),
        None => None,
    };
    let every = (checkpoint_every, keep);
    if is_leader {
        keep_settings(args, &settings)?;
    }
    let outcome = fit(args, &config, &prepared, prefetch, every, ranks.as_mut(), quiet)?;
    if !is_leader {
        return Ok(exit_code(outcome.ended));
    }
    if outcome.losses.is_empty() {
        bail!("{}", how_to_resume(args, 0));
    }
    let head = match &label {
        Some(label) if outcome.ended != Ended::Interrupted => {
            fit_head(&outcome, &prepared, label, quiet)?
        }
        _ => None,
    };
    let trained = Trained {
        input,
        options: &options,
        config: &config,
        prepared: &prepared,
        outcome: &outcome,
        head,
        shared: (prefetch.workers, args.ranks.world_size()),
        begun,
    };
    conclude(args, trained, quiet)?;
    if outcome.ended == Ended::Interrupted {
        eprintln!("{}", how_to_resume(args, outcome.losses.len()));
    }
    Ok(exit_code(outcome.ended))
}

/// Writes the settings into the folder of the run. One with checkpoints of an earlier run will be
/// refused, and keeps its own.
fn keep_settings(args: &Args, settings: &Settings) -> Result<()> {
    let Some(folder) = &args.checkpoint else { return Ok(()) };
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_used = entries.any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"step-"));
    let path = folder.join(SETTINGS_FILE);
    if args.resume && is_used && path.is_file() && !args.allow_other_data {
        settings.check_same_windows(&path)?;
    }
    if args.resume || !is_used {
        output::write_file(&path, settings.to_toml()?.as_bytes())?;
    }
    Ok(())
}

fn exit_code(ended: Ended) -> ExitCode {
    ExitCode::from(if ended == Ended::Interrupted { 2 } else { 0 })
}

fn fit(
    args: &Args,
    config: &TrainConfig,
    prepared: &Prepared,
    prefetch: Prefetch,
    (every, keep): (usize, usize),
    ranks: Option<&mut TcpRanks>,
    quiet: bool,
) -> Result<TrainOutcome> {
    interrupt::watch();
    let bar = bar(config.steps, quiet || args.json);
    let evaluated = if prepared.validation.is_some() { "validation" } else { "training" };
    let mut observer = |report: &StepReport| {
        bar.set_position(report.step as u64);
        bar.set_message(format!(
            "loss {:.3} {} eta {}",
            report.loss,
            Unit::SamplesPerSecond.format(report.pairs_per_s),
            Unit::Seconds.format(report.eta_s.round())
        ));
        if let Some(metrics) = &report.metrics {
            let (loss, top1) = (figure(metrics.loss.into()), figure(metrics.top1));
            let alarm = metrics.collapse.as_ref().map(|why| format!("; COLLAPSE: {why}"));
            bar.println(format!(
                "step {}: {evaluated} loss {loss}, top-1 {top1}, effective rank {:.1}{}",
                report.step,
                metrics.effective_rank,
                alarm.unwrap_or_default()
            ));
        }
    };
    let options = RunOptions {
        validation: prepared.validation.clone(),
        checkpoints: args.checkpoint.clone().map(|folder| CheckpointPlan { folder, every, keep }),
        resume: args.resume,
        data: prepared.data,
        allow_other_data: args.allow_other_data,
        stop: Stop::when(interrupt::requested),
        prefetch,
        observer: Some(&mut observer),
        ranks: ranks.map(|ranks| ranks as &mut dyn Collective),
    };
    let outcome = train_with(prepared.train.clone(), config, options);
    bar.finish_and_clear();
    let outcome = match outcome {
        Err(error @ ContrastiveError::OtherData { .. }) => Err(error).context(
            "cannot resume\nhint: give the store that the run began with, or --allow-other-data to go \
             on with this one",
        ),
        other => Ok(other?),
    }?;
    if args.resume && outcome.first_step == 0 && !quiet {
        eprintln!("no checkpoint to resume from: began at step 0");
    }
    Ok(outcome)
}

fn bar(steps: usize, hidden: bool) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if hidden {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn how_to_resume(args: &Args, steps: usize) -> String {
    if args.checkpoint.is_none() {
        return format!(
            "interrupted after {steps} steps; nothing can be resumed without --checkpoint DIR"
        );
    }
    let words = std::env::args().map(|word| match word.contains([' ', '\'', '"', '$', '*']) {
        true => format!("'{}'", word.replace('\'', "'\\''")),
        false => word,
    });
    let mut command: Vec<String> = words.collect();
    if !args.resume {
        command.push("--resume".to_owned());
    }
    format!("interrupted after {steps} steps; go on with:\n  {}", command.join(" "))
}
