//! Words about mappings of symbols that cannot be used.

use std::path::Path;

use lob_convert::{Instrument, RecordStream};
use lob_metrics::shown;

/// Says which mappings of a file that was read cannot be used, of those that `--symbol` may mean.
pub(super) fn warn(stream: &RecordStream, source: &Path, wanted: Option<&str>) -> Vec<String> {
    let path = shown(source.display());
    let is_wanted = |symbol: &str| wanted.is_none_or(|name| Instrument::may_be_named(symbol, name));
    let warnings = stream.mapping_faults(is_wanted);
    warnings.iter().for_each(|warning| eprintln!("warning: `{path}`: {}", shown(warning)));
    warnings
}
