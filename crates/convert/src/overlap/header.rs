//! What the header of an input promises: enough to tell which inputs cannot share a record.

use std::{collections::BTreeMap, path::Path};

use dbn::{Metadata, SType, Schema};

use crate::{
    ConvertConfig, InputHash,
    decode::{Source, read_header},
    input_file::InputFile,
    summary::source_of,
};

/// Dataset, time and instruments of an input, by its header alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    /// What source it is a delivery of.
    pub(super) source: String,
    pub(super) dataset: String,
    /// First nanosecond, and the first one after the end; `u64::MAX` for an open end.
    pub(crate) window: (u64, u64),
    /// The names of each instrument id; `None` where the header maps no ids, as that of a live
    /// capture.
    pub(crate) names: Option<BTreeMap<u32, Vec<String>>>,
}

impl Promise {
    /// Reads the header. `None` for what is no file of books: its conversion says why.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let input = InputFile::open(path).ok()?;
        let mut source = Source::new(&input, InputHash::None).ok()?;
        let metadata = read_header(&input, &mut source).ok()?.metadata;
        matches!(metadata.schema, None | Some(Schema::Mbo | Schema::Mbp10))
            .then(|| Self::of(path, &metadata))
    }

    fn of(path: &Path, metadata: &Metadata) -> Self {
        let end = metadata.end.map_or(u64::MAX, std::num::NonZeroU64::get);
        // A window that is none says nothing.
        let window = if end > metadata.start { (metadata.start, end) } else { (0, u64::MAX) };
        Self {
            source: source_of(path, metadata),
            dataset: metadata.dataset.clone(),
            window,
            names: names(metadata),
        }
    }

    /// Whether both may hold a record of the same instrument at the same time.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        let ids = match (&self.names, &other.names) {
            (Some(a), Some(b)) => {
                let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
                few.keys().any(|id| many.contains_key(id))
            }
            _ => true,
        };
        ids && self.dataset == other.dataset
            && self.window.0 < other.window.1
            && other.window.0 < self.window.1
    }

    /// Whether the conversion takes this instrument, as far as the header tells.
    pub(crate) fn is_wanted(&self, id: u32, config: &ConvertConfig) -> bool {
        if (config.symbols.is_empty() && config.instrument_ids.is_empty())
            || config.instrument_ids.contains(&id)
        {
            return true;
        }
        let names = self.names.as_ref().and_then(|names| names.get(&id));
        names.is_none_or(|names| names.iter().any(|name| config.symbols.contains(name)))
    }

    /// An instrument as messages call it.
    pub(super) fn name(&self, id: u32) -> String {
        let names = self.names.as_ref().and_then(|names| names.get(&id));
        match names.and_then(|names| names.first()) {
            Some(name) => format!("{name} (id {id})"),
            None => format!("instrument {id}"),
        }
    }
}

fn names(metadata: &Metadata) -> Option<BTreeMap<u32, Vec<String>>> {
    let by_key = metadata.stype_in == Some(SType::InstrumentId);
    if !by_key && metadata.stype_out != SType::InstrumentId {
        return None;
    }
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for mapping in &metadata.mappings {
        for interval in &mapping.intervals {
            let (key, value) = (&mapping.raw_symbol, &interval.symbol);
            let (id, name) = if by_key { (key, value) } else { (value, key) };
            let Ok(id) = id.parse() else { continue };
            let all = names.entry(id).or_default();
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
    }
    (!names.is_empty()).then_some(names)
}
