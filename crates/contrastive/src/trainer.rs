mod batch;
mod compare;
mod evaluation;
mod folder;
mod objective;
mod queue;
mod snapshot;
mod step;
mod weights;

use std::sync::Arc;
use std::time::Instant;

use burn_tensor::backend::AutodiffBackend;
use lob_dataloader::{Batches, Loader, Stop};

use crate::encoder::{Weight, initial_tensors};
use crate::optim::AdamW;
use crate::outcome::Ended;
use crate::run::{RunOptions, StepReport};
use crate::safetensors_file::check_finite;
use crate::team::Team;
use crate::{
    ContrastiveError, Encoder, Metrics, ResolvedDevice, Rng, TrainConfig, TrainOutcome,
    TrainedModel, WindowSource,
};
use batch::PairBatches;
use folder::RunFolder;
use objective::LossWeights;
use queue::Queue;
use step::StepTimes;

/// Purposes of the random streams of one seed.
const STREAM_WEIGHTS: u64 = 1;
const STREAM_PAIRS: u64 = 2;
const STREAM_DROPOUT: u64 = 3;
const STREAM_EVALUATION: u64 = 4;
const STREAM_AUGMENT: u64 = 5;

/// Steps before a loss at its value by chance counts as stuck.
const MIN_STEPS_STUCK: usize = 50;

/// A run in progress on one backend.
struct Trainer<'a, A: AutodiffBackend> {
    config: &'a TrainConfig,
    device: A::Device,
    n_inputs: usize,
    n_encoder_weights: usize,
    /// The encoder's arrays, then the loss's own.
    weights: Vec<Weight<A::InnerBackend>>,
    /// Moving average of the encoder's arrays.
    average: Option<Vec<Weight<A::InnerBackend>>>,
    optimiser: AdamW<A::InnerBackend>,
    queue: Queue<A::InnerBackend>,
    losses: Vec<f32>,
    /// Steps taken by earlier processes.
    first_step: usize,
    best: Option<Best<A::InnerBackend>>,
    /// Anchors that the supervised loss had no positive for, so far.
    n_lone_anchors: usize,
    /// Asked inside a step; never with several ranks, which end together.
    stop: Stop,
}

/// The best validation loss so far and the encoder that reached it.
struct Best<B: burn_tensor::backend::Backend> {
    loss: f32,
    step: usize,
    /// Evaluations since.
    n_worse: usize,
    weights: Vec<Weight<B>>,
}

/// Trains on backend `A`; `host` says whether its memory is the host's.
pub(crate) fn train_on<A: AutodiffBackend>(
    source: &Arc<dyn WindowSource>,
    config: &TrainConfig,
    mut options: RunOptions<'_>,
    device: &A::Device,
    host: bool,
    resolved: ResolvedDevice,
) -> Result<TrainOutcome, ContrastiveError> {
    config.validate()?;
    config.encoder.validate_for(source.n_inputs())?;
    check_sources(&**source, &options)?;
    let mut team = Team::new(options.ranks.take(), config.batch_size)?;
    let mut trainer = Trainer::<A>::new(config, &**source, device, host);
    if team.is_alone() {
        trainer.stop = options.stop.clone();
    }
    let plan = options.checkpoints.take();
    let mut folder = RunFolder::open(plan, &options, &team, &mut trainer)?;
    trainer.first_step = trainer.losses.len();
    trainer.compare_runs(&**source, &mut team)?;
    let mut outcome = new_outcome(config, source.n_inputs(), trainer.losses.len(), resolved);
    if trainer.has_ended_early() {
        outcome.ended = Ended::Early;
    }
    let pairs = PairBatches::new(Arc::clone(source), config, team.share(config.batch_size));
    let loader = Loader::of(pairs, options.prefetch)?.with_stop(trainer.stop.clone());
    let number = |step: usize| (step as u64).saturating_mul(config.accumulate as u64);
    let mut batches = match outcome.ended {
        Ended::Finished => loader.batches(number(trainer.first_step)..number(config.steps)),
        _ => loader.batches(0..0),
    };
    let evaluated = options.validation.clone().unwrap_or_else(|| Arc::clone(source));
    trainer.run(&mut batches, &*evaluated, &mut options, &mut team, &mut folder, &mut outcome)?;
    drop(batches);
    outcome.exchanged_bytes = team.sent_bytes();
    let finished = trainer.finish(&*evaluated, outcome, team.is_leader());
    finished.map_err(|error| folder.with_last_good(error))
}

fn check_sources(
    source: &dyn WindowSource,
    options: &RunOptions<'_>,
) -> Result<(), ContrastiveError> {
    if source.is_empty() || source.n_inputs() == 0 {
        return Err(ContrastiveError::NotEnoughData {
            reason: "the window source is empty".into(),
            hint: "check the input and the window length",
        });
    }
    match &options.validation {
        Some(other) if other.n_inputs() != source.n_inputs() => Err(ContrastiveError::Shape {
            what: "a validation window",
            expected: source.n_inputs(),
            found: other.n_inputs(),
        }),
        _ => Ok(()),
    }
}

fn new_outcome(
    config: &TrainConfig,
    n_inputs: usize,
    first_step: usize,
    device: ResolvedDevice,
) -> TrainOutcome {
    let room = config.steps.saturating_sub(first_step);
    let times = || Vec::with_capacity(room);
    TrainOutcome {
        losses: Vec::new(),
        first_step,
        step_s: times(),
        wait_s: times(),
        batch_s: times(),
        forward_s: times(),
        loss_s: times(),
        backward_s: times(),
        optimiser_s: times(),
        exchange_s: times(),
        exchanged_bytes: 0,
        grad_norms: Vec::with_capacity(room),
        validation: Vec::new(),
        temperature: config.temperature.initial(),
        n_lone_anchors: 0,
        skipped_steps: 0,
        metrics: Metrics::unknown(),
        ended: Ended::Finished,
        best_step: None,
        checkpoint: None,
        device,
        model: TrainedModel { encoder: config.encoder.clone(), n_inputs, tensors: Vec::new() },
    }
}

/// What stops a run at `step`, counted from 1; the folder of the run adds the last checkpoint.
fn diverged(what: String, step: usize) -> ContrastiveError {
    ContrastiveError::Diverged { what, step, checkpoint: None }
}

fn record(outcome: &mut TrainOutcome, times: &StepTimes) {
    outcome.grad_norms.push(times.grad_norm);
    outcome.wait_s.push(times.wait);
    outcome.batch_s.push(times.batch);
    outcome.forward_s.push(times.forward);
    outcome.loss_s.push(times.loss);
    outcome.backward_s.push(times.backward);
    outcome.optimiser_s.push(times.optimiser);
    outcome.exchange_s.push(times.exchange);
}

/// Seconds to go at the mean pace so far.
#[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^52")]
fn eta(begun: Instant, done: usize, to_go: usize) -> f64 {
    begun.elapsed().as_secs_f64() / done.max(1) as f64 * to_go as f64
}

impl<'a, A: AutodiffBackend> Trainer<'a, A> {
    fn new(
        config: &'a TrainConfig,
        source: &dyn WindowSource,
        device: &A::Device,
        host: bool,
    ) -> Self {
        let mut rng = Rng::stream(config.seed, STREAM_WEIGHTS);
        let mut weights: Vec<_> = initial_tensors(&config.encoder, source.n_inputs(), &mut rng)
            .into_iter()
            .map(|t| Weight::upload(t.values, &t.shape, device))
            .collect();
        let n_encoder_weights = weights.len();
        let average = config.ema_decay.map(|_| weights.clone());
        weights.extend(LossWeights::initial(config, device));
        Self {
            config,
            device: device.clone(),
            n_inputs: source.n_inputs(),
            n_encoder_weights,
            average,
            optimiser: AdamW::new(config.optimiser, weights.len(), host)
                .with_precision(config.precision),
            weights,
            queue: Queue::new(config.queue),
            losses: Vec::with_capacity(config.steps),
            first_step: 0,
            best: None,
            n_lone_anchors: 0,
            stop: Stop::default(),
        }
    }

    /// Takes the steps that are left.
    fn run(
        &mut self,
        batches: &mut Batches<PairBatches>,
        evaluated: &dyn WindowSource,
        options: &mut RunOptions<'_>,
        team: &mut Team<'_>,
        folder: &mut RunFolder,
        outcome: &mut TrainOutcome,
    ) -> Result<(), ContrastiveError> {
        let (config, begun) = (self.config, Instant::now());
        while self.losses.len() < config.steps && outcome.ended == Ended::Finished {
            let start = Instant::now();
            let times = match self.step(batches, team, options.stop.is_asked()) {
                Err(error) if error.is_stop() => {
                    outcome.ended = Ended::Interrupted;
                    if let Some(path) = folder.save(self, true)? {
                        outcome.checkpoint = Some(path);
                    }
                    return Ok(());
                }
                taken => taken.map_err(|error| folder.with_last_good(error))?,
            };
            let step_s = start.elapsed().as_secs_f64();
            outcome.step_s.push(step_s);
            record(outcome, &times);
            let step = self.losses.len();
            let mut report = self.report(&times, step_s);
            report.eta_s = eta(begun, step - outcome.first_step, config.steps - step);
            if config.evaluate_every > 0 && step.is_multiple_of(config.evaluate_every) {
                let found = self.evaluate_for(team, evaluated);
                let (loss, metrics) = found.map_err(|error| folder.with_last_good(error))?;
                outcome.validation.push((step, loss));
                if self.is_early_end(loss) {
                    outcome.ended = Ended::Early;
                }
                report.metrics = metrics;
            }
            // Ranks end together: what counts is what was said in the step's message.
            let is_stopped =
                if team.is_alone() { options.stop.is_asked() } else { times.is_stopped };
            if is_stopped && step < config.steps {
                outcome.ended = Ended::Interrupted;
            }
            folder.log(&report)?;
            if let Some(observer) = options.observer.as_deref_mut() {
                observer(&report);
            }
            let is_last = step == config.steps || outcome.ended != Ended::Finished;
            if is_last {
                self.compare_weights(team)?;
            }
            if let Some(path) = folder.save(self, is_last)? {
                outcome.checkpoint = Some(path);
            }
        }
        Ok(())
    }

    fn report(&self, times: &StepTimes, step_s: f64) -> StepReport {
        let step = self.losses.len();
        #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
        let pairs = (self.config.batch_size * self.config.accumulate) as f64;
        StepReport {
            step,
            steps: self.config.steps,
            loss: self.losses[step - 1],
            learning_rate: self.learning_rate(step - 1),
            temperature: self.temperature(),
            grad_norm: times.grad_norm,
            pairs_per_s: pairs / step_s,
            data_wait_share: (times.wait / step_s).min(1.0),
            eta_s: 0.0,
            metrics: None,
        }
    }

    fn learning_rate(&self, step: usize) -> f64 {
        let config = self.config;
        f64::from(config.optimiser.learning_rate) * config.schedule.factor(step, config.steps)
    }

    fn temperature(&self) -> f32 {
        let learned = self.loss_weights().log_scale().map(|s| (-s).exp());
        learned.unwrap_or(self.config.temperature.initial())
    }

    /// Takes note of a validation loss; says whether to end early. One that was not measured says
    /// nothing.
    fn is_early_end(&mut self, loss: f32) -> bool {
        let Some(rule) = self.config.early_stop.filter(|_| !loss.is_nan()) else { return false };
        let step = self.losses.len();
        let is_better = self.best.as_ref().is_none_or(|best| loss < best.loss - rule.min_delta);
        if is_better {
            let weights = self.encoder_weights().to_vec();
            self.best = Some(Best { loss, step, n_worse: 0, weights });
        } else if let Some(best) = &mut self.best {
            best.n_worse += 1;
        }
        self.has_ended_early()
    }

    /// Whether the validation loss has not fallen for as long as the run is patient.
    fn has_ended_early(&self) -> bool {
        let patience = self.config.early_stop.map(|rule| rule.patience);
        let n_worse = self.best.as_ref().map(|best| best.n_worse);
        patience.zip(n_worse).is_some_and(|(patience, n)| n >= patience)
    }

    /// The arrays of the encoder as it would be handed out: the moving average where there is one.
    fn encoder_weights(&self) -> &[Weight<A::InnerBackend>] {
        self.average.as_deref().unwrap_or(&self.weights[..self.n_encoder_weights])
    }

    fn encoder(&self) -> Encoder<A::InnerBackend> {
        let weights = self.encoder_weights().to_vec();
        Encoder::from_weights(self.config.encoder.clone(), self.n_inputs, weights)
            .with_precision(self.config.precision)
    }

    fn loss_weights(&self) -> LossWeights<A::InnerBackend> {
        LossWeights::new(self.config, &self.weights[self.n_encoder_weights..])
    }

    /// The last evaluation, unless the run was interrupted, and the model: the best one seen with
    /// early stopping, else the last.
    fn finish(
        mut self,
        evaluated: &dyn WindowSource,
        mut outcome: TrainOutcome,
        is_leader: bool,
    ) -> Result<TrainOutcome, ContrastiveError> {
        if let Some(best) = self.best.take() {
            outcome.best_step = Some(best.step);
            self.average = Some(best.weights);
        }
        if is_leader && outcome.ended != Ended::Interrupted {
            let metrics = self.evaluate(evaluated)?;
            self.check_validation(metrics.loss)?;
            outcome.metrics = metrics.measured();
        }
        outcome.temperature = self.temperature();
        outcome.n_lone_anchors = self.n_lone_anchors;
        outcome.skipped_steps = self.optimiser.skipped();
        outcome.model.tensors = self.encoder().into_tensors();
        check_finite(&outcome.model.tensors)
            .map_err(|flaw| diverged(flaw.to_string(), self.losses.len()))?;
        outcome.losses = self.losses;
        Ok(outcome)
    }
}
