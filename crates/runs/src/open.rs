//! A document before anything was measured.

use lob_metrics::{Overhead, Roof, Run, SCHEMA_VERSION, Tool};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What the program was made of, as its build script found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Commit of the sources, with `-dirty` where they differed from it.
    pub revision: Option<String>,
    /// Why there is no revision.
    pub revision_unknown: Option<String>,
    /// Cargo features switched on.
    pub features: Vec<String>,
}

/// A document of this program on this machine, begun now, with nothing measured. `settings` are
/// those of the command, so that it can be asked for again; its line is that of the process.
#[must_use]
pub fn open_run<'a>(
    title: &str,
    build: &Build,
    settings: impl IntoIterator<Item = (&'a str, Value)>,
) -> Run {
    let now = OffsetDateTime::now_utc();
    let compiler = env!("LOB_RUSTC");
    Run {
        schema_version: SCHEMA_VERSION,
        id: format!("{}-{}", now.unix_timestamp(), std::process::id()),
        started_at: now.format(&Rfc3339).unwrap_or_else(|_| now.unix_timestamp().to_string()),
        elapsed_s: 0.0,
        title: title.to_owned(),
        tool: Tool {
            name: "lob".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: build.revision.clone(),
            revision_unknown: build.revision_unknown.clone(),
            features: features(build),
            command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        },
        host: lob_profiler::host((!compiler.is_empty()).then_some(compiler)),
        roof: Roof::default(),
        inputs: Vec::new(),
        settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        scenarios: Vec::new(),
        targets: Vec::new(),
        recommendations: Vec::new(),
        overhead: Overhead::default(),
        notes: Vec::new(),
    }
}

/// Cargo features, and `debug` for a build without optimisation.
fn features(build: &Build) -> Vec<String> {
    let debug = cfg!(debug_assertions).then(|| "debug".to_owned());
    build.features.iter().cloned().chain(debug).collect()
}
