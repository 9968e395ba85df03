//! Edges files: the class edges of one instrument, and what they were fitted on.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use lob_depth::LabelSpec;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::MOVEMENT_UNIT;
use crate::ConvertError;

/// Tells an edges file from an object of edges by symbol.
const KIND: &str = "loblab edges";
const VERSION: u32 = 1;
const PREFIX: &str = "edges-";
/// Longest part of a file's name that is a symbol.
const SYMBOL_CHARS_MAX: usize = 64;

/// The class edges of one instrument, as an edges file holds them in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstrumentEdges {
    kind: String,
    version: u32,
    /// Dataset of the inputs, for example `GLBX.MDP3`.
    pub dataset: String,
    /// Publisher of the updates.
    pub publisher_id: u16,
    /// The instrument's symbol; its id as text where it has none.
    pub symbol: String,
    /// Updates averaged before an anchor.
    pub lookback: u32,
    /// Updates averaged after it.
    pub lookforward: u32,
    /// Updates between the anchor and those after.
    pub offset: u32,
    /// Number of classes.
    pub classes: u32,
    /// What the edges are measured in: [`MOVEMENT_UNIT`].
    pub unit: String,
    /// Ascending edges between the classes, one fewer than these.
    pub edges: Vec<f64>,
    /// Least and largest movement of those fitted on. Where both are equal prices were flat, and
    /// that movement is in the middle class.
    pub range: (f64, f64),
    /// Where the edges come from.
    pub fitted_on: FittedOn,
}

/// What edges were fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedOn {
    /// Days in order, `YYYY-MM-DD`: the first ones of the instrument.
    pub days: Vec<String>,
    /// Movements on these days.
    pub movements: u64,
    /// Which rows have one, such as `bins of updates=100`.
    pub rows: String,
    /// How edges follow from movements: `quantiles`, or the multiples of the standard deviation.
    pub method: String,
    /// The inputs that these days come from, by name.
    pub inputs: Vec<EdgesInput>,
}

/// An input that edges were fitted on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgesInput {
    /// Name of the file without its folder.
    pub name: String,
    /// XXH3-128 of its decompressed records, in hex.
    pub fingerprint: String,
}

impl InstrumentEdges {
    pub(super) fn new(
        (dataset, publisher_id, symbol): (String, u16, String),
        label: &LabelSpec,
        edges: Vec<f64>,
        range: (f64, f64),
        fitted_on: FittedOn,
    ) -> Self {
        Self {
            kind: KIND.to_owned(),
            version: VERSION,
            dataset,
            publisher_id,
            symbol,
            lookback: label.lookback,
            lookforward: label.lookforward,
            offset: label.offset,
            classes: label.classes,
            unit: MOVEMENT_UNIT.to_owned(),
            edges,
            range,
            fitted_on,
        }
    }

    /// Name of its file: publisher and symbol, the latter in characters that every file system
    /// takes, with a hash where that is not the symbol itself.
    pub(super) fn file_name(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let plain: String = self
            .symbol
            .chars()
            .map(|c| if is_plain(c) { c } else { '_' })
            .take(SYMBOL_CHARS_MAX)
            .collect();
        let more = if plain == self.symbol {
            String::new()
        } else {
            let hash = XxHash3_128::oneshot(self.symbol.as_bytes());
            format!(".{}", &format!("{hash:032x}")[..8])
        };
        format!("{PREFIX}{}-{plain}{more}.json", self.publisher_id)
    }

    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// In words, for the footers of files labelled with them.
    pub(crate) fn origin(&self) -> String {
        let FittedOn { days, movements, rows, method, inputs } = &self.fitted_on;
        let span = match days.as_slice() {
            [] => "no day".to_owned(),
            [day] => format!("its first day, {day}"),
            [first, .., last] => format!("its first {} days, {first} to {last}", days.len()),
        };
        format!(
            "given: {method} of {movements} movements of the instrument on {span} ({rows}, {} inputs)",
            inputs.len()
        )
    }

    /// Whether all movements were the same.
    pub(crate) fn is_flat(&self) -> bool {
        self.range.0 >= self.range.1
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let found: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if found.kind != KIND {
            return Err(format!("kind `{}`, expected `{KIND}`", found.kind));
        }
        if found.version != VERSION {
            return Err(format!("version `{}`, expected `{VERSION}`", found.version));
        }
        let (n, edges) = (found.classes as usize, &found.edges);
        let is_sound = edges.len() + 1 == n && edges.iter().all(|edge| edge.is_finite());
        let (least, largest) = found.range;
        let is_range = least.is_finite() && largest.is_finite() && least <= largest;
        if !is_sound || !edges.is_sorted() || !is_range {
            return Err(format!(
                "edges {edges:?} of {n} classes in a range of {least} to {largest}; expected {} \
                 ascending numbers",
                n.saturating_sub(1)
            ));
        }
        if found.unit != MOVEMENT_UNIT {
            return Err(format!("unit `{}`, expected `{MOVEMENT_UNIT}`", found.unit));
        }
        Ok(found)
    }
}

/// Whether a folder holds edges files, and no store.
pub(crate) fn is_edges_folder(folder: &Path) -> Result<bool, ConvertError> {
    Ok(folder.is_dir() && !paths(folder)?.is_empty())
}

/// Edges files in a folder, in path order; or the file itself.
fn paths(path: &Path) -> Result<Vec<PathBuf>, ConvertError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let list = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut found = list().map_err(ConvertError::io(path, "list"))?;
    let is_ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(".json");
    found.retain(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_ours));
    found.sort();
    Ok(found)
}

/// The edges in a folder of edges files, or in one of them; `None` for a file of another kind.
///
/// # Errors
/// A file cannot be read or makes no sense, two are about one instrument, or they have other label
/// windows than `label` or differ in the number of classes.
pub(crate) fn read(
    path: &Path,
    label: &LabelSpec,
) -> Result<Option<Vec<InstrumentEdges>>, ConvertError> {
    let mut all: Vec<InstrumentEdges> = Vec::new();
    for file in paths(path)? {
        let text = fs::read(&file).map_err(ConvertError::io(&file, "read"))?;
        let unusable = |reason| ConvertError::Sidecar { path: file.clone(), reason };
        let is_ours = serde_json::from_slice::<serde_json::Value>(&text)
            .is_ok_and(|value| value.get("kind").is_some_and(serde_json::Value::is_string));
        if !is_ours && !path.is_dir() {
            return Ok(None);
        }
        let found = InstrumentEdges::parse(&text).map_err(unusable)?;
        let windows = [label.lookback, label.lookforward, label.offset];
        let of_found = [found.lookback, found.lookforward, found.offset];
        if of_found != windows {
            return Err(unusable(format!(
                "its labels look back, forward and offset by {of_found:?} updates, these by \
                 {windows:?}"
            )));
        }
        if let Some(first) = all.first()
            && first.classes != found.classes
        {
            let (a, b) = (first.classes, found.classes);
            return Err(unusable(format!("{b} classes, where `{}` has {a}", first.symbol)));
        }
        let is_same = |other: &&InstrumentEdges| {
            (other.publisher_id, &other.dataset, &other.symbol)
                == (found.publisher_id, &found.dataset, &found.symbol)
        };
        if all.iter().any(|other| is_same(&other)) {
            let symbol = &found.symbol;
            return Err(unusable(format!("another file has the edges of `{symbol}` too")));
        }
        all.push(found);
    }
    all.sort_by(|a, b| {
        let key = |x: &InstrumentEdges| (x.symbol.clone(), x.publisher_id, x.dataset.clone());
        key(a).cmp(&key(b))
    });
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(symbol: &str) -> InstrumentEdges {
        let fitted_on = FittedOn {
            days: vec!["2024-04-01".to_owned(), "2024-04-02".to_owned()],
            movements: 7,
            rows: "bins of updates=20".to_owned(),
            method: "quantiles".to_owned(),
            inputs: Vec::new(),
        };
        let label = LabelSpec { classes: 3, ..LabelSpec::default() };
        let of = ("X.Y".to_owned(), 1, symbol.to_owned());
        InstrumentEdges::new(of, &label, vec![-0.1, 0.1], (-0.3, 0.3), fitted_on)
    }

    #[test]
    fn names_are_names_of_files_and_tell_symbols_apart() {
        assert_eq!(edges("ESM4").file_name(), "edges-1-ESM4.json");
        let odd = ["a/b", "a\\b", "../a", "a b", "Ä", "", &"x".repeat(300)];
        let names: Vec<_> = odd.iter().map(|symbol| edges(symbol).file_name()).collect();
        for name in &names {
            assert!(name.len() < 100 && !name.contains(['/', '\\', ' ']), "{name}");
        }
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), odd.len(), "{names:?}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let sound = edges("A").to_text().unwrap();
        assert_eq!(InstrumentEdges::parse(sound.as_bytes()).unwrap(), edges("A"));
        assert!(edges("A").origin().contains("its first 2 days, 2024-04-01 to 2024-04-02"));
        for (from, to, said) in [
            ("loblab edges", "other", "kind `other`"),
            ("\"version\": 1", "\"version\": 2", "version `2`"),
            ("\"classes\": 3", "\"classes\": 4", "expected 3 ascending"),
            ("    -0.1,", "    0.2,", "ascending"),
            (MOVEMENT_UNIT, "pips", "unit `pips`"),
        ] {
            let text = sound.replacen(from, to, 1);
            assert_ne!(text, sound);
            let error = InstrumentEdges::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
