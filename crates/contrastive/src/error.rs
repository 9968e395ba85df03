use std::path::PathBuf;

use lob_metrics::shown;
use lob_store::StoreFingerprint;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContrastiveError {
    /// A setting lies outside its range.
    #[error("`{name}` is {found}, expected {expected}")]
    Config {
        /// Name of the field.
        name: &'static str,
        /// What would be accepted.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A buffer has the wrong number of values.
    #[error("{what} holds {found} values, expected {expected}")]
    Shape {
        /// Which buffer.
        what: &'static str,
        /// The count that fits.
        expected: usize,
        /// The count that was found.
        found: usize,
    },
    /// The data cannot give a single training batch.
    #[error("{reason}, so no pair of windows can be drawn; {hint}")]
    NotEnoughData {
        /// What is missing, with the counts.
        reason: String,
        /// What the user can change.
        hint: &'static str,
    },
    /// A part of a split in time that has to have windows has none.
    #[error("the {part} part is empty: {reason}; {hint}")]
    EmptyPart {
        /// Which part.
        part: &'static str,
        /// Where it should lie, and what is there.
        reason: String,
        /// What the user can change.
        hint: &'static str,
    },
    /// A store has not what was chosen of it.
    #[error("`{path}` has not {wanted}; it has {found}", path = shown(.path.display()))]
    NotInStore {
        /// The store.
        path: PathBuf,
        /// Symbols or days that were chosen.
        wanted: String,
        /// Those that are there.
        found: String,
    },
    /// A value that is not finite where the encoder needs a number.
    #[error("window {window} holds `{value}` at position {position}; fill or drop it first")]
    NotFinite {
        /// Index of the window in its source.
        window: usize,
        /// Offset inside the flattened window.
        position: usize,
        /// The value.
        value: f32,
    },
    /// Training left the finite numbers.
    #[error(
        "{what} at step {step}; lower the learning rate ({})",
        last_good(.checkpoint.as_deref())
    )]
    Diverged {
        /// Training step, counted from 1.
        step: usize,
        /// The loss, the norm of the gradients or which weight, and its value.
        what: String,
        /// The last checkpoint, which was written before that and is finite.
        checkpoint: Option<PathBuf>,
    },
    /// The weights of a model to be used are not all numbers.
    #[error("the model cannot be used: {reason}")]
    Weights {
        /// Array, index and value.
        reason: String,
    },
    /// An encoder made something else than numbers of finite windows.
    #[error(
        "the encoder gives `{value}` at dimension {dimension} of embedding {row} of its batch; \
         the windows or the weights are too large for single precision"
    )]
    Embedding {
        /// Which window of the batch.
        row: usize,
        /// Which number of its embedding.
        dimension: usize,
        /// The value.
        value: f32,
    },
    /// Features of an evaluation that are no numbers.
    #[error("the features `{features}` of window {window} hold `{value}`; nothing can be scored")]
    Features {
        /// Which features.
        features: &'static str,
        /// Index of the window in its source.
        window: usize,
        /// The value.
        value: f32,
    },
    /// The wanted device cannot be used.
    #[error("device `{device}` is not available: {reason}")]
    Device {
        /// Device as asked for.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A window has no bin with a bid and an ask, and so nothing to show.
    #[error("window {window} has no bin with both sides; pass over it")]
    EmptyWindow {
        /// Index of the window in its source.
        window: usize,
    },
    /// A store cannot be opened.
    #[error(
        "cannot use `{path}`: {source}",
        path = shown(.path.display())
    )]
    Open {
        /// The store.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A checkpoint does not belong to this run.
    #[error(
        "cannot resume from `{path}`: {reason}",
        path = shown(.path.display())
    )]
    Checkpoint {
        /// The checkpoint, or the folder without one.
        path: PathBuf,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// The ranks of a run cannot go on together.
    #[error(transparent)]
    Ranks(lob_ranks::RankError),
    /// The ranks of a run do not do the same.
    #[error(
        "the {what} of {ranks} differ from those of rank 0; start all ranks with the same program, \
         settings and data, on machines of one kind"
    )]
    RanksDiffer {
        /// What differs.
        what: &'static str,
        /// Whose.
        ranks: lob_ranks::RankList,
    },
    /// A batch could not be made for a reason that is not in its windows, or was not made because
    /// the run was asked to stop.
    #[error(transparent)]
    Loader(#[from] lob_dataloader::LoaderError),
    /// A thread panicked while it drew pairs.
    #[error("a panic while pairs of step {step} were drawn: {message}", message = shown(.message))]
    DrawPanic {
        /// Training step, counted from 1.
        step: usize,
        /// Text of the panic.
        message: String,
    },
    /// A window source failed.
    #[error("cannot read window {window}: {source}")]
    Source {
        /// Index of the window.
        window: usize,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log of a run cannot be read or written.
    #[error(
        "cannot {action} the log `{path}`: {source}",
        path = shown(.path.display())
    )]
    Log {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A model file cannot be read or written.
    #[error(
        "cannot {action} model file `{path}`: {source}",
        path = shown(.path.display())
    )]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A run is to go on with other data than it began with.
    #[error(
        "checkpoint `{path}` is of a run on other data ({before}) than the source ({now}): other records, settings or rows",
        path = shown(.path.display())
    )]
    OtherData {
        /// The checkpoint.
        path: PathBuf,
        /// The store that the run began with.
        before: StoreFingerprint,
        /// The source now.
        now: StoreFingerprint,
    },
    /// A file is not what was written.
    #[error(
        "`{path}` is damaged: its checksum is `{found}`, expected `{expected}`; \
         restore it from a copy, or train again",
        path = shown(.path.display())
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the file says.
        expected: String,
        /// What its content has.
        found: String,
    },
    /// A model to be written holds something else than numbers.
    #[error(
        "the model is not written to `{path}`: {reason}",
        path = shown(.path.display())
    )]
    UnfitModel {
        /// Where it should have gone.
        path: PathBuf,
        /// Array, index and value.
        reason: String,
    },
    /// A model file has been read and makes no sense.
    #[error(
        "`{path}` is not a model of this program: {reason}",
        path = shown(.path.display())
    )]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
}

/// What to go back to.
fn last_good(checkpoint: Option<&std::path::Path>) -> String {
    match checkpoint {
        Some(path) => format!("the last good checkpoint is `{}`", path.display()),
        None => "no checkpoint was written before that".to_owned(),
    }
}

impl ContrastiveError {
    /// Whether it says that the run was asked to stop.
    pub(crate) fn is_stop(&self) -> bool {
        matches!(self, Self::Loader(lob_dataloader::LoaderError::Stopped))
    }

    /// Shorthand for [`ContrastiveError::Config`].
    pub(crate) fn config(
        name: &'static str,
        expected: &'static str,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Config { name, expected, found: found.to_string() }
    }
}
