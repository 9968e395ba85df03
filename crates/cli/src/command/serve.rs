//! `lob serve`.

mod page;
pub(crate) mod sources;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use lob_watch::{MetricsServer, ProfilerConfig, Reply, ServerLimits};

use crate::{interrupt, output};
use sources::Sources;

/// Serve this machine's figures, and those of a running program, over HTTP
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob serve --listen 127.0.0.1:9187 --watch runs/latest/metrics.jsonl
  lob serve --pid $(pgrep -n python) &
  curl http://127.0.0.1:9187/metrics

Pages: /metrics (Prometheus text, or OpenMetrics for who asks for it by Accept), /healthz, / (a status
page). Ends at Ctrl-C. What grows is a counter (`_total`, rate() in Prometheus), what goes up and down
a gauge; `process_*` is this server, `lob_watched_*` the process of --pid, whose end `lob_watched_up`
shows.
On a loopback address only requests to an address or to localhost are answered. Anybody who can
reach another address can read all of it: there is no password and no encryption.")]
pub(crate) struct Args {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9187")]
    listen: SocketAddr,
    #[command(flatten)]
    watched: Watched,
}

/// What to look at besides the machine.
#[derive(clap::Args)]
pub(crate) struct Watched {
    /// A growing file of JSON lines with numbers, such as the metrics.jsonl of a training run
    #[arg(long, value_name = "FILE")]
    pub(crate) watch: Vec<PathBuf>,
    /// The request log a ProductionMonitor writes
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// A process to watch: memory, threads, CPU time, disk; it must be running
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Option<u32>,
    /// Options of the profiler as TOML: what is tracked, how often, alert thresholds
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Watched {
    /// The configuration: the file's, or one that looks at everything.
    pub(crate) fn config(&self) -> Result<ProfilerConfig> {
        Ok(match &self.config {
            Some(path) => ProfilerConfig::from_file(path)?,
            None => ProfilerConfig::builder()
                .track_carbon(true)
                .track_cpu_temp(true)
                .track_network(true)
                .build()?,
        })
    }
}

pub(crate) fn run(args: &Args, quiet: bool) -> Result<ExitCode> {
    let stop = interrupt::watch();
    let sources = Arc::new(Sources::start(&args.watched)?);
    let theirs = Arc::clone(&sources);
    let status = page::StatusPage::default();
    let pages = move |path: &str| match path {
        "/metrics" => Some(Reply::prometheus(theirs.metrics_page())),
        "/healthz" => Some(Reply::text(200, "ok\n")),
        "/" => Some(Reply::html(status.draw(&theirs.metrics_page()))),
        _ => None,
    };
    let server = MetricsServer::start(args.listen, ServerLimits::default(), pages)?;
    output::print_line(&format!("http://{}/metrics", server.address()))?;
    if !quiet && !server.address().ip().is_loopback() {
        eprintln!("warning: {} can be read from other machines", server.address());
    }
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let counts = server.counts();
    server.stop();
    if !quiet {
        eprintln!(
            "{} pages served, {} requests refused, {} clients turned away",
            counts.answered, counts.refused, counts.turned_away
        );
    }
    Ok(ExitCode::SUCCESS)
}
