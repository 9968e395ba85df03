//! Class edges from other stores, from files and from tables.

use std::{collections::BTreeMap, fs, path::Path};

use lob_depth::LabelSpec;
use lob_store::{LabelMeta, Store, StoreError, read_tick_meta};
use twox_hash::XxHash3_128;

use super::ClassEdges;
use crate::{ConvertError, Instrument, InstrumentEdges, edges};

/// The symbol that stands for all others.
const ANY: &str = "*";

/// Thresholds of the reference for (classes, look-forward of at least so many updates) in pips,
/// for bins of 100 updates. The first that fits is taken.
const REFERENCE_PIPS: [(u32, u32, &[f64]); 5] = [
    (13, 5_000, &[0.47, 1.55, 2.69, 3.92, 5.45, 7.73]),
    (13, 0, &[0.5, 1.7, 3.0, 4.3, 6.0, 8.45]),
    (9, 0, &[0.51, 2.25, 4.0, 6.35]),
    (7, 0, &[0.7, 2.7, 5.5]),
    (5, 0, &[1.0, 3.0]),
];

impl ClassEdges {
    /// The edges that a folder of edges files, one of them, a store, one of its files, or a JSON
    /// file holds.
    ///
    /// In a store every instrument has edges of its own; of several days the last counts. A JSON
    /// file that is no edges file has one object of ascending inner edges by symbol, with `*` for all others:
    /// `{"ESM4": [-0.001, 0.001], "*": [-0.0005, 0.0005]}`. `label` is what the edges are for: a
    /// store whose labels have other windows is refused. The second value is the number of
    /// classes.
    ///
    /// # Errors
    /// The path cannot be read, holds no edges, or edges for something else.
    pub fn of(path: impl AsRef<Path>, label: &LabelSpec) -> Result<(Self, u32), ConvertError> {
        let path = path.as_ref();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if (is_json || edges::is_edges_folder(path)?)
            && let Some(all) = edges::read(path, label)?
        {
            let classes = all.first().map(|found| found.classes);
            let none = || unusable(path, "it holds no class edges".to_owned());
            return Ok((Self::Fitted(all), classes.ok_or_else(none)?));
        }
        let edges = if is_json {
            let text = fs::read(path).map_err(ConvertError::io(path, "read"))?;
            serde_json::from_slice(&text).map_err(|error| unusable(path, error.to_string()))?
        } else {
            of_store(path, label)?
        };
        let classes = edges.values().map(|edges: &Vec<f64>| edges.len() + 1).max();
        let classes = classes.and_then(|n| u32::try_from(n).ok());
        let Some(classes) = classes else {
            return Err(unusable(path, "it holds no class edges".to_owned()));
        };
        Ok((Self::PerSymbol(edges), classes))
    }

    /// The thresholds in pips that the reference uses for this number of classes and look-forward;
    /// `None` where it has none.
    #[must_use]
    pub fn reference_pips(label: &LabelSpec) -> Option<Self> {
        let fits = |(classes, lookforward, _): &&(u32, u32, &[f64])| {
            *classes == label.classes && *lookforward <= label.lookforward
        };
        REFERENCE_PIPS.iter().find(fits).map(|(.., pips)| Self::Pips(pips.to_vec()))
    }

    /// Number of classes that the edges make; `None` where they fit any.
    #[must_use]
    pub fn n_classes(&self) -> Option<u32> {
        let n = match self {
            Self::Fit => return None,
            Self::Fixed(edges) | Self::Volatility(edges) => edges.len() + 1,
            Self::PerSymbol(edges) => edges.values().map(Vec::len).max()? + 1,
            Self::Fitted(all) => return all.first().map(|found| found.classes),
            Self::Pips(pips) => 2 * pips.len() + 1,
        };
        u32::try_from(n).ok()
    }

    /// Checks that all edges are ascending and as many as `classes` need.
    pub(super) fn validate(&self, classes: u32) -> Result<(), ConvertError> {
        let of = |edges: &[f64], expected: usize, lowest: f64| {
            let is_ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
            let is_above = edges.iter().all(|edge| edge.is_finite() && *edge > lowest);
            if edges.len() == expected && is_ascending && is_above {
                return Ok(());
            }
            let more = if lowest < 0.0 { "" } else { " above 0" };
            Err(ConvertError::Config {
                setting: "class-edges",
                found: format!("{edges:?}"),
                expected: format!("{expected} ascending numbers{more} for {classes} classes"),
            })
        };
        let inner = classes as usize - 1;
        match self {
            Self::Fit => Ok(()),
            Self::Fixed(edges) | Self::Volatility(edges) => of(edges, inner, f64::MIN),
            Self::PerSymbol(all) => all.values().try_for_each(|edges| of(edges, inner, f64::MIN)),
            // Flat prices have coinciding edges; the rest was checked when the files were read.
            Self::Fitted(all) => match all.iter().find(|found| found.classes != classes) {
                None => Ok(()),
                Some(found) => Err(ConvertError::Config {
                    setting: "class-edges",
                    found: format!("{} classes of `{}`", found.classes, found.symbol),
                    expected: format!("those of {classes} classes"),
                }),
            },
            // An odd number of classes: the middle one is around no movement.
            Self::Pips(pips) if classes % 2 == 1 => of(pips, inner / 2, 0.0),
            Self::Pips(pips) => Err(ConvertError::Config {
                setting: "class-edges",
                found: format!("{classes} classes by pips {pips:?}"),
                expected: "an odd number of classes".to_owned(),
            }),
        }
    }

    /// The given inner edges for an instrument; `None` where they are to be fitted.
    pub(crate) fn given(&self, symbol: &str) -> Option<Vec<f64>> {
        match self {
            Self::Fixed(edges) => Some(edges.clone()),
            Self::PerSymbol(edges) => edges.get(symbol).or_else(|| edges.get(ANY)).cloned(),
            Self::Pips(pips) => {
                let up = pips.iter().map(|pip| pip * 1e-4);
                Some(up.clone().rev().map(|edge| -edge).chain(up).collect())
            }
            Self::Fit | Self::Volatility(_) | Self::Fitted(_) => None,
        }
    }

    /// The edges of an edges file for an instrument of a dataset.
    pub(crate) fn fitted(
        &self,
        dataset: &str,
        instrument: &Instrument,
    ) -> Option<&InstrumentEdges> {
        let Self::Fitted(all) = self else { return None };
        let symbol = instrument.name();
        let is_it = |found: &&InstrumentEdges| {
            found.symbol == symbol
                && found.publisher_id == instrument.publisher_id
                && found.dataset == dataset
        };
        all.iter().find(is_it)
    }

    /// Where the edges between classes of movements come from, in words.
    pub(crate) const fn rule(&self) -> &'static str {
        match self {
            Self::Fit => "quantiles of the first movements of each instrument of each input",
            Self::Fixed(_) | Self::Pips(_) => "given edges",
            Self::PerSymbol(_) => "given edges by symbol",
            Self::Fitted(_) => "edges files",
            Self::Volatility(_) => {
                "given multiples of the standard deviation of the first movements of each instrument \
                 of each input"
            }
        }
    }

    /// The setting as text; many files of edges by a hash.
    pub(super) fn as_setting(&self) -> String {
        let Self::Fitted(all) = self else { return format!("{self:?}") };
        let hash = XxHash3_128::oneshot(format!("{all:?}").as_bytes());
        format!("fitted for {} instruments, {hash:032x}", all.len())
    }

    /// Whether each file of an instrument has edges of its own.
    pub(crate) fn are_per_file(&self) -> bool {
        matches!(self, Self::Fit | Self::Volatility(_))
    }
}

fn of_store(path: &Path, label: &LabelSpec) -> Result<BTreeMap<String, Vec<f64>>, ConvertError> {
    let mut labels: Vec<(String, String, LabelMeta)> = Vec::new();
    match Store::open(path) {
        Ok(store) => labels.extend(store.files().iter().map(|file| {
            let meta = file.meta();
            (meta.day.clone(), meta.symbol.clone(), meta.label.clone())
        })),
        Err(error) => labels.extend(of_ticks(path, error)?),
    }
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    let mut edges = BTreeMap::new();
    for (_, symbol, found) in labels {
        if found.edges.is_empty() {
            continue;
        }
        let windows = [label.lookback, label.lookforward, label.offset].map(u64::from);
        let of_found = [found.lookback, found.lookforward, found.offset];
        if of_found != windows {
            let reason = format!(
                "its labels look back, forward and offset by {of_found:?} updates, these by \
                 {windows:?}"
            );
            return Err(unusable(path, reason));
        }
        edges.insert(symbol, found.edges);
    }
    Ok(edges)
}

/// The labels of a store in the layout of ticks; `error` if it is none.
fn of_ticks(
    path: &Path,
    error: StoreError,
) -> Result<Vec<(String, String, LabelMeta)>, ConvertError> {
    let mut labels = Vec::new();
    for path in crate::store_files::store_files(path)? {
        if let Some(meta) = read_tick_meta(&path)? {
            labels.push((meta.day, meta.symbol, meta.label));
        }
    }
    if labels.is_empty() { Err(error.into()) } else { Ok(labels) }
}

fn unusable(path: &Path, reason: String) -> ConvertError {
    ConvertError::Sidecar { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_are_taken_on_both_sides() {
        let label = LabelSpec { classes: 5, ..LabelSpec::default() };
        let edges = ClassEdges::reference_pips(&label).unwrap();
        assert_eq!(edges, ClassEdges::Pips(vec![1.0, 3.0]));
        assert_eq!(edges.n_classes(), Some(5));
        let inner = edges.given("any").unwrap();
        for (edge, expected) in inner.iter().zip([-3e-4, -1e-4, 1e-4, 3e-4]) {
            assert!((edge - expected).abs() < 1e-18, "{inner:?}");
        }
        assert!(edges.validate(5).is_ok() && edges.validate(4).is_err());
        assert!(ClassEdges::Pips(vec![0.0, 1.0]).validate(5).is_err());
        let fewer = LabelSpec { lookforward: 3_000, ..LabelSpec::default() };
        let Some(ClassEdges::Pips(pips)) = ClassEdges::reference_pips(&fewer) else { panic!() };
        assert!(pips.len() == 6 && pips[0] > 0.49, "{pips:?}");
        assert_eq!(ClassEdges::reference_pips(&LabelSpec { classes: 4, ..fewer }), None);
    }
}
