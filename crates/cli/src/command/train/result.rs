//! What a training leaves: the model with its head, the document of the run, and words.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use lob_contrastive::{
    ContrastiveError, Embedder, Ended, Head, HeadFacts, HeadLabel, InputSpec, Metrics, ModelFile,
    PrepareOptions, Prepared, TrainConfig, TrainOutcome, Training,
};
use lob_metrics::{Summary, shown};
use lob_runs::{TRAINING_FILE, TRAINING_VERSION};

use super::Args;
use crate::output;

/// A run that has ended.
pub(super) struct Trained<'a> {
    pub(super) input: InputSpec,
    pub(super) options: &'a PrepareOptions,
    pub(super) config: &'a TrainConfig,
    pub(super) prepared: &'a Prepared,
    pub(super) outcome: &'a TrainOutcome,
    pub(super) head: Option<Head>,
    /// Workers, and processes that trained it.
    pub(super) shared: (usize, usize),
    pub(super) begun: Instant,
}

/// Saves the model and the document of the run, and says what came of it.
pub(super) fn conclude(args: &Args, trained: Trained<'_>, quiet: bool) -> Result<()> {
    let Trained { input, options, config, prepared, outcome, head, shared, begun } = trained;
    let file = ModelFile {
        model: outcome.model.clone(),
        input,
        positives: options.positives,
        scale: prepared.scale.clone(),
        seed: config.seed,
        steps: outcome.losses.len(),
        data: prepared.data,
        training: Some(Training::of(prepared, &options.choice, config, outcome)),
        head,
    };
    let path =
        args.out.clone().or_else(|| Some(args.checkpoint.as_ref()?.join(ModelFile::FILE_NAME)));
    if let Some(path) = &path {
        file.save(path)?;
    }
    let mut document = document(outcome, config, prepared, shared, path.as_ref(), begun);
    document["head"] = serde_json::to_value(file.head.as_ref().map(|head| &head.facts))?;
    if let Some(folder) = &args.checkpoint {
        let text = serde_json::to_vec_pretty(&document).context("cannot encode JSON")?;
        output::write_file(&folder.join(TRAINING_FILE), &text)?;
    }
    if args.json {
        output::print_json(&document)?;
    } else if !quiet {
        print(outcome, prepared.validation.is_some(), path.as_ref())?;
        if let Some(head) = &file.head {
            output::print_line(&head_words(&head.facts))?;
        }
    }
    Ok(())
}

/// The head on the embeddings; without one where a part has no window for it.
pub(super) fn fit_head(
    outcome: &TrainOutcome,
    prepared: &Prepared,
    label: &HeadLabel,
    quiet: bool,
) -> Result<Option<Head>> {
    let mut embedder = Embedder::new(&outcome.model, outcome.device.device)?;
    match Head::fit(&mut embedder, prepared, label) {
        Ok(head) => Ok(Some(head)),
        Err(error @ ContrastiveError::EmptyPart { .. }) => {
            if !quiet {
                eprintln!("no head: {error}");
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A head in words.
pub(crate) fn head_words(head: &HeadFacts) -> String {
    let shares = head.classes.iter().zip(&head.base_rates);
    let shares: Vec<String> =
        shares.map(|(name, share)| format!("{} {share:.3}", shown(name))).collect();
    let [own, base] = head.validation_log_loss;
    format!(
        "head for `{}` ({}): balanced accuracy {:.3} on {} validation windows, log loss {own:.3} against \
         {base:.3} of the base rates",
        shown(&head.label),
        shares.join(", "),
        head.validation_balanced_accuracy,
        head.n_validation
    )
}

fn document(
    outcome: &TrainOutcome,
    config: &TrainConfig,
    prepared: &Prepared,
    (workers, world_size): (usize, usize),
    path: Option<&PathBuf>,
    begun: Instant,
) -> serde_json::Value {
    let model = &outcome.model;
    let n_pairs = (config.batch_size * config.accumulate * outcome.step_s.len()) as f64;
    let trained_s: f64 = outcome.step_s.iter().sum();
    // An interrupted run has no last evaluation to tell.
    let is_evaluated = match outcome.ended {
        Ended::Interrupted => outcome.validation.iter().all(|(_, loss)| !loss.is_nan()),
        _ => !outcome.metrics.loss.is_nan(),
    };
    serde_json::json!({
        "version": TRAINING_VERSION,
        "program": format!("loblab {}", env!("CARGO_PKG_VERSION")),
        "steps": outcome.losses.len(),
        "first_step": outcome.first_step,
        "ended": outcome.ended,
        "best_step": outcome.best_step,
        "loss_first": outcome.first_loss(),
        "loss_last": outcome.last_loss(),
        // Without validation pairs it is the training pairs that were evaluated; without a
        // negative a loss is 0 and says nothing.
        "validation": prepared
            .validation
            .as_ref()
            .filter(|_| is_evaluated)
            .map(|_| &outcome.validation),
        "evaluated_on": if prepared.validation.is_some() { "validation" } else { "training" },
        "metrics": outcome.metrics,
        "temperature": outcome.temperature,
        "lone_anchors": outcome.n_lone_anchors,
        "skipped_steps": outcome.skipped_steps,
        "pairs_per_s": (trained_s > 0.0).then(|| n_pairs / trained_s),
        "step_ms": Summary::of(&outcome.step_s).map(|s| s.median * 1e3),
        "data_wait_share":
            (trained_s > 0.0).then(|| outcome.wait_s.iter().sum::<f64>() / trained_s),
        "workers": workers,
        "world_size": world_size,
        "exchange_share":
            (trained_s > 0.0).then(|| outcome.exchange_s.iter().sum::<f64>() / trained_s),
        "exchanged_bytes": outcome.exchanged_bytes,
        "device": outcome.device.device.to_string(),
        "fallback": outcome.device.fallback,
        "parameters": model.n_params(),
        "forward_flops": model.encoder.forward_flops(model.n_inputs),
        "n_inputs": model.n_inputs,
        "windows": prepared.origins.len(),
        "data": prepared.data,
        "cuts": prepared.cuts,
        "trained": prepared.trained,
        "config": config.to_json(),
        "notes": prepared.notes,
        "model": path,
        "checkpoint": outcome.checkpoint,
        "elapsed_s": begun.elapsed().as_secs_f64(),
        "peak_rss_bytes": lob_scope::peak_rss_bytes().ok(),
    })
}

/// A figure, or that there is none.
pub(super) fn figure(value: f64) -> String {
    if value.is_nan() { "not measured".to_owned() } else { format!("{value:.3}") }
}

/// The figures of the last evaluation. A loss without negatives, or of the windows that were
/// trained on, is no validation.
fn evaluation(metrics: &Metrics, has_validation: bool) -> String {
    let [loss, top1, top5] = [metrics.loss.into(), metrics.top1, metrics.top5].map(figure);
    match (has_validation, metrics.loss.is_nan()) {
        (true, false) => format!("validation {loss}, top-1 {top1}, top-5 {top5}"),
        (true, true) => "validation not measured: no pair of a batch is a negative of another; \
                         use more days, shorter windows or a smaller --ignore-radius"
            .to_owned(),
        (false, false) => format!(
            "validation not measured: no validation pairs (on training pairs: loss {loss}, top-1 \
             {top1}, top-5 {top5})"
        ),
        (false, true) => "validation not measured: no validation pairs".to_owned(),
    }
}

fn print(outcome: &TrainOutcome, has_validation: bool, path: Option<&PathBuf>) -> Result<()> {
    let metrics = &outcome.metrics;
    let losses = outcome.first_loss().zip(outcome.last_loss());
    let (first, last) = losses.context("not one step was taken")?;
    let is_interrupted = outcome.ended == Ended::Interrupted;
    output::print_line(&format!(
        "{} steps on {}: loss {first:.3} to {last:.3}, {}",
        outcome.losses.len(),
        outcome.device.device,
        if is_interrupted {
            "not evaluated".to_owned()
        } else {
            evaluation(metrics, has_validation)
        },
    ))?;
    if outcome.first_step == outcome.losses.len() {
        output::print_line("the run was done before: no step was left to take")?;
    }
    if let Some(step) = outcome.best_step {
        output::print_line(&format!("the model is that of step {step}, the best on validation"))?;
    }
    match &metrics.collapse {
        Some(why) => output::print_line(&format!("COLLAPSE: {why}"))?,
        None if is_interrupted => {}
        None => output::print_line(&format!(
            "no sign of collapse: effective rank {:.1}, alignment {:.3}, uniformity {:.3}",
            metrics.effective_rank, metrics.alignment, metrics.uniformity
        ))?,
    }
    match path {
        Some(path) => output::print_line(&format!("{}", shown(path.display()))),
        None => output::print_line("not saved: give --checkpoint DIR or --out FILE"),
    }
}
