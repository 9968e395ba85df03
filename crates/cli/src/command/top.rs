//! `lob top`.

#[cfg(unix)]
mod terminal;
mod text;
pub(crate) mod view;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::serve::Watched;
use super::serve::sources::Sources;
use crate::{interrupt, output};
use view::View;

/// Show live what the machine and a running program do
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob top --watch runs/latest/metrics.jsonl
  lob top --connect 127.0.0.1:9187
  lob top --once --json

q or Ctrl-C ends it. Where standard output is no terminal it prints once and ends.")]
pub(crate) struct Args {
    /// Show what `lob serve`, or any Prometheus endpoint, says at HOST:PORT instead
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["watch", "log", "pid", "config"])]
    connect: Option<String>,
    /// A process to look at
    #[arg(long)]
    pid: Option<u32>,
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
            None => Self::Here(Box::new(Sources::start(&args.watched, args.pid)?)),
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
        for line in view.lines(Some(&before), source.name(), false) {
            output::print_line(&line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn live(source: &Source, interval: Duration) -> Result<ExitCode> {
    let stop = interrupt::watch();
    let mut screen = Screen::enter()?;
    let mut before: Option<View> = None;
    loop {
        let next = Instant::now() + interval;
        let lines = match source.look() {
            Ok(view) => {
                let lines = view.lines(before.as_ref(), source.name(), screen.colours());
                before = Some(view);
                lines
            }
            // An endpoint that is restarted comes back.
            Err(error) => vec![format!("{}: {error:#}", source.name())],
        };
        screen.draw(&lines)?;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if stop.load(Ordering::Relaxed) || screen.quit_within(left.min(POLL))? {
                return Ok(ExitCode::SUCCESS);
            }
            if left <= POLL {
                break;
            }
        }
    }
}

/// How soon a signal is noticed.
const POLL: Duration = Duration::from_millis(100);

/// The terminal while the dashboard has it; leaving restores it, also after a panic.
struct Screen {
    #[cfg(unix)]
    keys: Option<terminal::Keys>,
    colours: bool,
}

impl Screen {
    fn enter() -> Result<Self> {
        let screen = Self {
            #[cfg(unix)]
            keys: terminal::Keys::take()?,
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        // The alternate screen, without a cursor.
        write_out(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }

    fn colours(&self) -> bool {
        self.colours
    }

    /// Draws from the top left corner, and no line longer or later than the screen is.
    fn draw(&mut self, lines: &[String]) -> Result<()> {
        let (columns, rows) = size();
        let mut frame = String::from("\x1b[H");
        for line in lines.iter().take(rows.saturating_sub(1)) {
            frame.push_str(&text::clipped(line, columns));
            frame.push_str("\x1b[K\r\n");
        }
        frame.push_str("\x1b[2mq quits\x1b[0m\x1b[K\x1b[J");
        write_out(frame.as_bytes())
    }

    /// Waits for a key for at most `time` and says whether it ends the dashboard.
    fn quit_within(&mut self, time: Duration) -> Result<bool> {
        #[cfg(unix)]
        if let Some(keys) = &mut self.keys {
            return keys.quit_within(time);
        }
        std::thread::sleep(time);
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be said about a terminal that is gone.
        let _ = write_out(b"\x1b[?25h\x1b[?1049l");
    }
}

fn write_out(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(())
}

/// Columns and rows; 80 by 24 where the terminal does not tell.
fn size() -> (usize, usize) {
    #[cfg(unix)]
    if let Some(size) = terminal::size() {
        return size;
    }
    (80, 24)
}
