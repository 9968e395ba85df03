//! The conversion of many inputs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use lob_store::fs::{DiskSystem, SharedFs};

use crate::{
    ConvertConfig, ConvertError, ConvertSummary, Progress, RecordStream,
    edges::differing_edges,
    input_file::InputFile,
    inputs::{Found, Input, SYMBOLOGY, find_inputs, share},
    labels::labels,
    out_dir::OutDir,
    overlap::{self, Parted},
    pipeline::{Shared, convert_input},
    summary::InputOutcome,
    truth::TruthSource,
};

/// Converts DBN files into a store of labelled bins: one file for each instrument and day of each
/// input, as [`ConvertConfig`] says.
///
/// `inputs` are files, folders (searched for `.dbn` and `.dbn.zst`) and patterns with `*` and `?`.
/// Files appear in the store when the whole input they come from is converted. If an input fails,
/// everything this run has put into the store is removed again, unless `keep_going` or `resume` is
/// set.
///
/// Inputs are compared by what they hold. Of two with the same records one is taken, and of `mbo`
/// beside `mbp-10` of the same instruments and time the latter, unless it covers less; the other
/// is named in [`ConvertSummary::duplicates`]. The same goes for inputs of earlier runs into the
/// store. [`ConvertConfig::keep_duplicates`] switches this off.
///
/// ```
/// use lob_convert::{ConvertConfig, convert};
/// use lob_synth::{SynthConfig, write_file};
/// let folder = tempfile::tempdir()?;
/// let input = folder.path().join("market.mbp-10.dbn.zst");
/// write_file(&SynthConfig { records: 5_000, ..SynthConfig::default() }, &input)?;
/// let mut config = ConvertConfig::new(folder.path().join("store"));
/// (config.label.lookback, config.label.lookforward, config.label.offset) = (100, 100, 10);
/// let summary = convert(&[input], &config, &())?;
/// assert_eq!((summary.records, summary.inputs.len()), (5_000, 1));
/// assert!(summary.samples > 0 && summary.rows > summary.samples);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An input cannot be read to its end, two hold the same instruments at the same time and it cannot
/// be told which is right, the store cannot be written, or no bin came out at all.
/// With `keep_going`, [`ConvertError::SomeFailed`] lists what failed after the rest is done.
pub fn convert(
    inputs: &[PathBuf],
    config: &ConvertConfig,
    progress: &dyn Progress,
) -> Result<ConvertSummary, ConvertError> {
    convert_on(&(Arc::new(DiskSystem) as SharedFs), inputs, config, progress)
}

/// As [`convert`], with the store on another file system: `lob-simulate` has one that fails.
/// Inputs are read from the machine's.
///
/// # Errors
/// As [`convert`].
pub fn convert_on(
    fs: &SharedFs,
    inputs: &[PathBuf],
    config: &ConvertConfig,
    progress: &dyn Progress,
) -> Result<ConvertSummary, ConvertError> {
    let start = Instant::now();
    let cpu_start_s = lob_scope::process_cpu_time_s().ok();
    config.validate()?;
    let Found { mut inputs, definitions, mut warnings } =
        find_inputs(inputs, &|| progress.is_cancelled())?;
    let all = definitions.iter().chain(&config.definitions);
    let increments = RecordStream::increments_of_all(all, progress)?;
    let truth = TruthSource::of(config, progress)?;
    let settings = config.fingerprint(truth.as_ref().map(|truth| &*truth.hash));
    let shared = SharedFs::clone(fs);
    let out = OutDir::open(shared, &config.out, &settings, config.writer().as_ref())?;
    let earlier = out.earlier();
    let compared = if config.keep_duplicates { &[] } else { &*earlier };
    // Before they are shared out, so that all shards leave out the same.
    let promises = overlap::promises(&mut inputs, progress)?;
    let parted = overlap::part(inputs, promises, compared, config, progress)?;
    let Parted { inputs, left_out, taken_over, doubts } = parted;
    let inputs = match config.shard {
        Some(shard) => share(inputs, shard),
        None => inputs,
    };
    warnings.extend(symbology_faults(&inputs, config));
    progress.started(inputs.len(), inputs.iter().map(|input| input.bytes).sum());
    let run = Run {
        inputs: &inputs,
        shared: Shared {
            config,
            progress,
            increments: &increments,
            truth: truth.as_ref(),
            fs,
            // Of several, as many as there are jobs keep as many cores busy.
            is_helped: inputs.len() == 1 && n_cores() > 1,
        },
        config,
        progress,
        out: Mutex::new(out),
        settings,
        next: AtomicUsize::new(0),
        is_stopped: AtomicBool::new(false),
    };
    let (outcomes, mut failures) = run.work();
    failures.extend(doubts);
    let labels = labels(config, truth.as_ref());
    let mut summary = ConvertSummary { warnings, labels, ..ConvertSummary::default() };
    summary.warnings.extend(left_out.iter().map(ToString::to_string));
    summary.duplicates = left_out;
    taken_over.into_iter().chain(outcomes).for_each(|outcome| summary.add(outcome));
    let result = conclude(&mut summary, failures, &inputs, config);
    let mut out = run.out.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Without a single bin there is nothing to go on with, only settings that fit nothing.
    let is_useless =
        matches!(result, Err(ConvertError::NoBins { .. } | ConvertError::OtherTruth { .. }));
    let is_kept = (config.keep_going || config.resume) && !is_useless;
    if result.is_err() && !is_kept {
        out.roll_back();
    } else {
        summary.warnings.extend(out.remove_superseded());
        summary.warnings.extend(differing_edges(&summary, &earlier, config));
    }
    let left = out.close();
    note_cost(&mut summary, start, cpu_start_s);
    summary.warnings.extend(left.iter().cloned());
    match result {
        Ok(()) => Ok(summary),
        Err(ConvertError::SomeFailed { total, failures, .. }) => {
            Err(ConvertError::SomeFailed { total, failures, done: Box::new(summary) })
        }
        Err(error) => {
            left.iter().for_each(|warning| progress.warned(warning));
            Err(error)
        }
    }
}

/// What the run took, as far as it can be known.
fn note_cost(summary: &mut ConvertSummary, start: Instant, cpu_start_s: Option<f64>) {
    summary.elapsed_s = start.elapsed().as_secs_f64();
    summary.cpu_s = match (cpu_start_s, lob_scope::process_cpu_time_s()) {
        (Some(start_s), Ok(end_s)) => Some(end_s - start_s),
        _ => None,
    };
    summary.peak_rss_bytes = lob_scope::peak_rss_bytes().ok();
}

/// Mappings in files `symbology.json` that cannot be used, of symbols that may be wanted.
fn symbology_faults(inputs: &[Input], config: &ConvertConfig) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut warnings = Vec::new();
    for input in inputs {
        let folder = input.path.parent().unwrap_or(Path::new(""));
        if let Some(map) = &input.symbols
            && seen.insert(folder)
        {
            let path = folder.join(SYMBOLOGY);
            let lines = map.faults.lines(|symbol| config.may_want(symbol));
            warnings.extend(lines.iter().map(|line| format!("`{}`: {line}", path.display())));
        }
    }
    warnings
}

/// Whether the run as a whole succeeded.
fn conclude(
    summary: &mut ConvertSummary,
    mut failures: Vec<ConvertError>,
    inputs: &[Input],
    config: &ConvertConfig,
) -> Result<(), ConvertError> {
    if failures.iter().any(|failure| matches!(failure, ConvertError::Interrupted)) {
        return Err(ConvertError::Interrupted);
    }
    if config.keep_going && !failures.is_empty() {
        let done = Box::default();
        return Err(ConvertError::SomeFailed { total: inputs.len(), failures, done });
    }
    if !failures.is_empty() {
        return Err(failures.swap_remove(0));
    }
    if inputs.is_empty() && !summary.duplicates.is_empty() && config.shard.is_none() {
        return Ok(());
    }
    if inputs.is_empty() {
        // A shard may be empty: more shards than files. `find_inputs` has refused all other cases.
        summary.warnings.push("no input falls to this shard".to_owned());
        return Ok(());
    }
    if summary.rows == 0 {
        return Err(no_bins(summary, inputs, config));
    }
    if let (Some(path), Some(counts)) = (&config.truth, summary.truth)
        && counts.joined == 0
        && counts.missing > 0
    {
        return Err(ConvertError::OtherTruth { path: path.clone(), bins: counts.missing });
    }
    warn_of_unused_steps(summary, config);
    if summary.samples == 0 {
        let label = &config.label;
        summary.warnings.push(format!(
            "no bin has the label `reversal`, which needs {} updates of an instrument without a break \
             (look-back {}, offset {}, look-forward {}); smaller windows would fit",
            label.min_rows(),
            label.lookback,
            label.offset,
            label.lookforward
        ));
    }
    Ok(())
}

/// A price step for a name that no instrument has is a slip of the pen.
fn warn_of_unused_steps(summary: &mut ConvertSummary, config: &ConvertConfig) {
    for name in config.price_steps.keys() {
        let is_it =
            |o: &crate::OutputSummary| o.symbol == *name || o.instrument_id.to_string() == *name;
        if config.layout == crate::Layout::Bins && !summary.outputs.iter().any(is_it) {
            let warning = format!(
                "a price step is given for `{name}`, which no instrument of the run is called"
            );
            summary.warnings.push(warning);
        }
    }
}

fn no_bins(summary: &ConvertSummary, inputs: &[Input], config: &ConvertConfig) -> ConvertError {
    let what = match inputs {
        [input] => format!("`{}`", input.path.display()),
        _ => format!("the {} inputs", inputs.len()),
    };
    let why = if summary.updates == 0 {
        format!("{what} holds no book update")
    } else if summary.skipped.contains_key("filtered") {
        format!(
            "no instrument of {what} matches symbols {:?} or instrument ids {:?}; `lob inspect` \
             lists those of a file",
            config.symbols, config.instrument_ids
        )
    } else {
        summary.warnings.join("; ")
    };
    ConvertError::NoBins { records: summary.records, updates: summary.updates, why }
}

/// The state the workers of a run share.
struct Run<'a> {
    inputs: &'a [Input],
    shared: Shared<'a>,
    config: &'a ConvertConfig,
    progress: &'a dyn Progress,
    out: Mutex<OutDir>,
    /// Fingerprint of the settings.
    settings: String,
    /// The next input to be taken.
    next: AtomicUsize,
    is_stopped: AtomicBool,
}

impl Run<'_> {
    /// Converts all inputs; what came of them is in their order.
    fn work(&self) -> (Vec<InputOutcome>, Vec<ConvertError>) {
        let jobs = self.config.jobs.min(self.inputs.len()).max(1);
        let done = Mutex::new(Vec::new());
        let worker = || {
            while !self.is_stopped.load(Ordering::Relaxed) {
                let n = self.next.fetch_add(1, Ordering::Relaxed);
                let Some(input) = self.inputs.get(n) else { break };
                let result = self.one(n, input);
                if let Err(error) = &result {
                    self.progress.input_failed(&input.path, error);
                    let is_fatal = matches!(error, ConvertError::Interrupted);
                    if is_fatal || !self.config.keep_going {
                        self.is_stopped.store(true, Ordering::Relaxed);
                    }
                }
                lock(&done).push((n, result));
            }
        };
        if jobs == 1 {
            worker();
        } else {
            thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(worker))));
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(n, _)| *n);
        let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
        for (_, result) in done {
            match result {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => failures.push(error),
            }
        }
        (outcomes, failures)
    }

    /// Converts one input and puts its files into place.
    fn one(&self, n: usize, input: &Input) -> Result<InputOutcome, ConvertError> {
        if self.progress.is_cancelled() {
            return Err(ConvertError::Interrupted);
        }
        let earlier = if self.config.resume { self.content(input)? } else { None };
        if let Some(content) = &earlier
            && let Some(outcome) = self.resumed(input, content)?
        {
            self.progress.input_done(&outcome.input);
            return Ok(outcome);
        }
        let temp = lock(&self.out).temp_folder(n);
        let converted = self
            .convert_checked(input, &temp, earlier.as_deref())
            .and_then(|outcome| lock(&self.out).commit(&temp, input, outcome, &self.settings));
        if converted.is_err() {
            // A failed input must not take room until the end of the run.
            lock(&self.out).clear_input(&temp);
        }
        let outcome = converted?;
        self.progress.input_done(&outcome.input);
        Ok(outcome)
    }

    /// Converts one input; its hash must be the one its manifest lists, and the one it had `earlier`
    /// in this run.
    fn convert_checked(
        &self,
        input: &Input,
        temp: &Path,
        earlier: Option<&str>,
    ) -> Result<InputOutcome, ConvertError> {
        let outcome = convert_input(input, temp, &self.shared)?;
        if earlier.is_some_and(|content| Some(content) != outcome.input.content()) {
            return Err(ConvertError::Changed {
                path: input.path.clone(),
                found: "its content, since it was looked up in the journal".to_owned(),
            });
        }
        if let (Some(expected), Some(found)) = (&input.expected_sha256, &outcome.input.sha256)
            && expected != found
        {
            return Err(ConvertError::Manifest {
                path: input.path.clone(),
                found: format!("sha256 `{found}`"),
                expected: format!("`{expected}`"),
            });
        }
        Ok(outcome)
    }

    /// What the content of an input is known by, where an earlier run may have finished it.
    fn content(&self, input: &Input) -> Result<Option<String>, ConvertError> {
        // Hashing takes a read of the whole file: not where nothing can come of it.
        if !lock(&self.out).may_be_finished(input.bytes) {
            return Ok(None);
        }
        let file = InputFile::open(&input.path)?;
        let content = file.hash(input.hash(self.config), &|| self.progress.is_cancelled())?;
        file.check_read(&content)?;
        Ok(content.any().map(str::to_owned))
    }

    /// What an earlier run made of the input with this content.
    fn resumed(&self, input: &Input, content: &str) -> Result<Option<InputOutcome>, ConvertError> {
        let found = lock(&self.out).finished(content, input)?;
        Ok(found.map(|mut outcome| {
            outcome.input.resumed = true;
            outcome
        }))
    }
}

/// Cores that this process may use.
fn n_cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// A panic of another worker leaves whole lines and files, so the state can be used on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
