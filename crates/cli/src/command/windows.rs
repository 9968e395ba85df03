//! What `train`, `embed` and `eval` share: the source argument.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lob_contrastive::{InputSpec, ModelFile, PrepareOptions, Prepared, SignalKind, prepare};
use lob_metrics::shown;

/// A store, or signals made on the spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Store(PathBuf),
    Generated(SignalKind),
}

impl std::str::FromStr for Source {
    type Err = lob_contrastive::ContrastiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("generated:") {
            Some(kind) => kind.parse().map(Self::Generated),
            None => Ok(Self::Store(PathBuf::from(text))),
        }
    }
}

impl Source {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Store(path) => Some(path),
            Self::Generated(_) => None,
        }
    }
}

/// Says so where a model was trained on another store than these windows are of: features of other
/// data are what it is for.
pub(crate) fn other_data(model: &ModelFile, prepared: &Prepared) -> Option<String> {
    let (trained, now) = model.data.zip(prepared.data)?;
    (trained != now)
        .then(|| format!("the model was trained on other data ({trained}) than these ({now})"))
}

/// The windows of a source as a model wants them.
pub(crate) fn open_for(model: &ModelFile, source: &Source) -> Result<Prepared> {
    let input = match (&model.input, source) {
        (InputSpec::Signals { window, stride, spec }, Source::Generated(kind)) => {
            // Other signals than those it was trained on.
            let seed = spec.seed.wrapping_add(1);
            let spec = lob_contrastive::SignalSpec { kind: *kind, seed, ..*spec };
            InputSpec::Signals { window: *window, stride: *stride, spec }
        }
        (InputSpec::Signals { .. }, Source::Store(path)) => bail!(
            "the model was trained on generated signals, `{}` is a store\nhint: use generated:KIND",
            shown(path.display())
        ),
        (_, Source::Generated(kind)) => {
            bail!("the model was trained on a store, not on signals such as generated:{kind}")
        }
        (input, Source::Store(_)) => input.clone(),
    };
    let options = PrepareOptions {
        positives: model.positives,
        scale: Some(model.scale.clone()),
        volatility_labels: false,
    };
    Ok(prepare(&input, source.path(), &options)?)
}
