//! The truth of a synthetic market, joined to bins.

use std::{io::ErrorKind, path::Path};

use dbn::Mbp10Msg;
use lob_store::{LabelCell, NamedLabel, TruthFile, TruthKey, TruthReader};

use crate::{ConvertConfig, ConvertError, InputHash, Progress, TruthCounts, input_file::InputFile};

/// A truth file, and what its content is known by.
#[derive(Debug)]
pub(crate) struct TruthSource {
    pub(crate) file: TruthFile,
    /// XXH3-128 of the file, in hex.
    pub(crate) hash: String,
}

impl TruthSource {
    /// The one that a conversion is given, if it is.
    pub(crate) fn of(
        config: &ConvertConfig,
        progress: &dyn Progress,
    ) -> Result<Option<Self>, ConvertError> {
        config.truth.as_deref().map(|path| Self::open(path, progress)).transpose()
    }

    fn open(path: &Path, progress: &dyn Progress) -> Result<Self, ConvertError> {
        // A pipe would be waited for, and could not be read twice.
        let found = std::fs::metadata(path).map_err(ConvertError::io(path, "open"))?;
        if !found.is_file() {
            let odd = std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file");
            return Err(ConvertError::io(path, "read")(odd));
        }
        let hash = InputFile::open(path)?.hash(InputHash::Xxh3, &|| progress.is_cancelled())?;
        let (file, hash) = (TruthFile::open(path)?, hash.xxh3.unwrap_or_default());
        Ok(Self { file, hash })
    }

    /// The labels that rows get from it.
    pub(crate) fn labels(&self) -> [NamedLabel; 2] {
        let of = format!("truth of XXH3-128 {}", self.hash);
        [NamedLabel::true_regime(&of), NamedLabel::true_pressure(&of)]
    }
}

/// What an update is found by in a truth file: the record's own fields, odd as they may be.
pub(crate) fn truth_key(record: &Mbp10Msg) -> TruthKey {
    TruthKey {
        instrument_id: record.hd.instrument_id,
        sequence: record.sequence,
        ts_event: record.hd.ts_event,
        ts_recv: record.ts_recv,
    }
}

/// Joins one input's bins.
#[derive(Debug)]
pub(crate) struct TruthJoin<'t> {
    source: &'t TruthSource,
    reader: TruthReader<'t>,
    pub(crate) counts: TruthCounts,
}

impl<'t> TruthJoin<'t> {
    pub(crate) fn new(source: &'t TruthSource) -> Self {
        Self { source, reader: source.file.reader(), counts: TruthCounts::default() }
    }

    /// The labels that it gives.
    pub(crate) fn labels(&self) -> [NamedLabel; 2] {
        self.source.labels()
    }

    /// What a bin has of [`TruthSource::labels`], whose last update has this key.
    pub(crate) fn cells(&mut self, key: &TruthKey) -> Result<[LabelCell; 2], ConvertError> {
        let Some(truth) = self.reader.find(key)? else {
            self.counts.missing += 1;
            return Ok([LabelCell::default(); 2]);
        };
        self.counts.joined += 1;
        let regime =
            LabelCell { value: Some(truth.regime.into()), class: Some(truth.regime.into()) };
        Ok([regime, LabelCell { value: Some(truth.pressure), class: None }])
    }
}
