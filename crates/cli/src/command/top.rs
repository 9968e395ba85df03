//! `lob top`.

mod history;
mod key;
mod layout;
mod screen;
#[cfg(unix)]
mod terminal;
mod text;
pub(crate) mod view;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::serve::Watched;
use super::serve::sources::Sources;
use crate::{interrupt, output};
use history::History;
use key::Key;
use layout::{Sort, Style};
use lob_metrics::shown;
use screen::Screen;
use view::View;

/// Show live what the machine and a running program do
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob top --watch runs/latest/metrics.jsonl
  lob top --pid 4711
  lob top --connect 127.0.0.1:9187
  lob top --once --json

Keys: q, Esc or Ctrl-C ends it; arrows, PgUp, PgDn, Home and End scroll; s sorts the rows of each section
as listed, by name or by value. Figures are drawn over time as soon as there are three looks, and a
process that is watched has the trend of its memory after ten. Where standard output is no terminal it
prints once and ends.")]
pub(crate) struct Args {
    /// Show what `lob serve`, or any Prometheus endpoint, says at HOST:PORT instead
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["watch", "log", "pid", "config"])]
    connect: Option<String>,
    #[command(flatten)]
    watched: Watched,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0)]
    interval: f64,
    /// Print once and end
    #[arg(long)]
    once: bool,
    /// Print one JSON document and end
    #[arg(long)]
    json: bool,
}

/// Longest interval accepted: a day.
const MAX_INTERVAL_S: f64 = 86_400.0;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    anyhow::ensure!(
        (0.05..=MAX_INTERVAL_S).contains(&args.interval),
        "`--interval {}` is not between 0.05 and {MAX_INTERVAL_S} seconds",
        args.interval
    );
    let source = Source::open(args)?;
    let interval = Duration::from_secs_f64(args.interval);
    if args.once || args.json || !std::io::stdout().is_terminal() {
        return once(args, &source, interval.min(Duration::from_millis(500)));
    }
    live(&source, interval)
}

enum Source {
    Here(Box<Sources>),
    There(String),
}

impl Source {
    fn open(args: &Args) -> Result<Self> {
        Ok(match &args.connect {
            Some(address) => Self::There(address.clone()),
            None => Self::Here(Box::new(Sources::start(&args.watched)?)),
        })
    }

    fn look(&self) -> Result<View> {
        let text = match self {
            Self::Here(sources) => sources.metrics_page(),
            Self::There(address) => lob_watch::scrape(address, "/metrics")?,
        };
        View::parse(&text).context("the page of metrics cannot be read")
    }

    fn name(&self) -> &str {
        match self {
            Self::Here(_) => "this machine",
            Self::There(address) => address,
        }
    }
}

/// Two looks, since counters say something only over time.
fn once(args: &Args, source: &Source, pause: Duration) -> Result<ExitCode> {
    let before = source.look()?;
    if before.has_counters() {
        std::thread::sleep(pause);
    }
    let view = source.look()?;
    if args.json {
        output::print_json(&view.to_json(Some(&before)))?;
    } else {
        output::print_line(&heading(source))?;
        let style = Style { columns: PRINTED_COLUMNS, colours: false, blocks: false };
        let sections = view.sections(Some(&before));
        for line in layout::lines(&sections, &view.unavailable, &History::default(), style) {
            output::print_line(&line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line.
fn heading(source: &Source) -> String {
    format!("lob top: {}", shown(source.name()))
}

fn live(source: &Source, interval: Duration) -> Result<ExitCode> {
    let stop = interrupt::watch();
    let mut screen = Screen::enter()?;
    let started = Instant::now();
    let (mut before, mut history, mut sort): (Option<View>, _, _) =
        (None, History::default(), Sort::default());
    loop {
        let next = Instant::now() + interval;
        let look = source.look();
        if let Ok(view) = &look {
            let t_s = started.elapsed().as_secs_f64();
            history.take_in(t_s, &view.sections(before.as_ref()));
        }
        loop {
            let style = screen.style();
            let lines = match &look {
                Ok(view) => {
                    let mut sections = view.sections(before.as_ref());
                    history.add_trends(&mut sections);
                    sort.apply(&mut sections);
                    layout::lines(&sections, &view.unavailable, &history, style)
                }
                // An endpoint that is restarted comes back.
                Err(error) => {
                    let text = shown(format!("{error:#}")).to_string();
                    text::wrapped(&text, style.columns, 2)
                }
            };
            screen.draw(&heading(source), &lines, sort)?;
            match wait(&mut screen, stop, next)? {
                Waited::Quit => return Ok(ExitCode::SUCCESS),
                Waited::Look => break,
                Waited::Sort => sort = sort.next(),
                Waited::Scrolled => {}
            }
        }
        if let Ok(view) = look {
            before = Some(view);
        }
    }
}

/// What ended the waiting for the next look.
enum Waited {
    Quit,
    Look,
    Sort,
    Scrolled,
}

fn wait(
    screen: &mut Screen,
    stop: &std::sync::atomic::AtomicBool,
    next: Instant,
) -> Result<Waited> {
    loop {
        let left = next.saturating_duration_since(Instant::now());
        if stop.load(Ordering::Relaxed) {
            return Ok(Waited::Quit);
        }
        let mut waited = None;
        for key in screen.keys_within(left.min(POLL))? {
            waited = Some(match key {
                Key::Quit => return Ok(Waited::Quit),
                Key::Sort => Waited::Sort,
                Key::Scroll(scroll) => {
                    screen.scroll(scroll);
                    Waited::Scrolled
                }
            });
        }
        if let Some(waited) = waited {
            return Ok(waited);
        }
        if left <= POLL {
            return Ok(Waited::Look);
        }
        if screen.was_resized() {
            return Ok(Waited::Scrolled);
        }
    }
}

/// How soon a signal is noticed.
const POLL: Duration = Duration::from_millis(100);
/// Columns where standard output is no terminal.
const PRINTED_COLUMNS: usize = 80;
