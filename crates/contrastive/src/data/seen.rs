//! Which windows of a store a model has learned from.

use lob_store::{Store, StoreFingerprint};

use super::choice::{Choice, begun_by};
use super::cuts::TimeRange;

/// What a model has seen of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// It is the store the model was trained on, in the choice of files made then: the cuts of
    /// training hold for it.
    Same,
    /// Nothing: the whole of it is of after the training windows.
    Later {
        /// The bins of the store.
        store: TimeRange,
    },
    /// Nothing: it has other instruments.
    Others,
    /// Another store with bins of the same instruments from the time of training.
    Partly {
        /// Those instruments, by symbol.
        symbols: Vec<String>,
        /// Time of their bins.
        store: TimeRange,
    },
    /// The model does not say what it was trained on.
    Unknown,
}

impl Seen {
    /// Of `store` with all its files, by a model that was trained on the files of `choice` of a
    /// store of the fingerprint `data`, on these `symbols`, and until the end of `trained`.
    #[must_use]
    pub fn of(
        store: &Store,
        data: Option<StoreFingerprint>,
        choice: &Choice,
        symbols: &[String],
        trained: Option<TimeRange>,
    ) -> Self {
        let chosen = store.clone().retained(|meta| choice.takes(meta));
        if data.is_some_and(|data| data == chosen.fingerprint()) {
            return Self::Same;
        }
        let Some(trained) = trained else { return Self::Unknown };
        if let Some((symbols, store)) = begun_by(store, symbols, trained.last) {
            return Self::Partly { symbols, store };
        }
        match begun_by(store, symbols, u64::MAX) {
            Some((_, store)) => Self::Later { store },
            None => Self::Others,
        }
    }
}
