//! The `lob` command: one file a subcommand, this one is the table of contents.
#![expect(clippy::print_stderr, reason = "a command-line tool")]

mod command;
mod interrupt;
mod output;
mod trace;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use lob_metrics::shown;

// Counting costs some nanoseconds an allocation, and no hot path makes any; see
// `memory.allocations`.
#[global_allocator]
static ALLOCATOR: lob_scope::CountingAllocator = lob_scope::CountingAllocator;

/// The performance laboratory for limit-order-book machine learning.
#[derive(Parser)]
#[command(name = "lob", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Log what happens inside to standard error; twice for more. With --version: what this
    /// program was made of
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXIT_CODES: &str = "\
Examples:
  lob synth --records 1000000 --seed 7 --out market.mbp-10.dbn.zst
  lob convert market.mbp-10.dbn.zst --out store
  lob render store --index 0 --out image.png
  lob bench --quick --out results/latest

Exit codes: 0 good, 1 regression or missed target, 2 failed; `lob profile` passes its program's on";

#[derive(Subcommand)]
enum Command {
    /// Write a synthetic market as DBN; same seed, same bytes
    Synth(command::synth::Args),
    /// Look for damage in DBN files and name every defect
    Verify(command::verify::Args),
    /// Convert DBN files to a store of labelled tick bins
    Convert(command::convert::Args),
    /// Show what is in a DBN file, a store, a model, a run folder or embeddings
    Inspect(command::inspect::Args),
    /// Write stores of older versions anew
    Store(command::store::Args),
    /// Render one depth image as .npy or .png
    Render(command::render::Args),
    /// Serve a store in batches and measure it
    Load(command::load::Args),
    /// Train an encoder on windows of a store or of generated signals
    Train(Box<command::train::Args>),
    /// List training runs and compare their settings
    Runs(command::runs::Args),
    /// Embed every window of a source with a trained model
    Embed(command::embed::Args),
    /// Hold a model's features against raw windows, PCA, hand statistics and an untrained encoder
    Eval(command::eval::Args),
    /// Indicators, probabilities and positions for every book update, as CSV or Parquet
    Signals(command::signals::Args),
    /// Run the benchmark suite and write its reports
    Bench(command::bench::Args),
    /// Draw reports from Run documents
    Report(command::report::Args),
    /// Compare two Run documents (advisory)
    Compare(command::compare::Args),
    /// Run two commands in turn and say whether the second is slower
    Ab(command::ab::Args),
    /// Profile any program: CPU, memory, I/O, leaks
    Profile(command::profile::Args),
    /// Show live what the machine and a running program do
    Top(command::top::Args),
    /// Serve the figures of the machine and a running program over HTTP
    Serve(command::serve::Args),
    /// Measure what this machine can do at best
    Machine(command::machine::Args),
    /// Print the JSON Schema of the Run document
    Schema,
    /// Print the completion script of a shell
    Completions(command::completions::Args),
    /// Write the manual: a page for `lob` and one for each command
    Man(command::man::Args),
    #[command(hide = true, name = "bench-child")]
    BenchChild(command::bench::ChildArgs),
}

/// The arguments taken apart. A negative number is the value of the option before it: what is
/// wrong with it the option knows better than "unexpected argument".
fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, clap::Error> {
    let takes_number = |arg: clap::Arg| {
        let is_option = !arg.is_positional() && arg.get_action().takes_values();
        if is_option { arg.allow_negative_numbers(true) } else { arg }
    };
    let command = Cli::command().mut_subcommands(|command| command.mut_args(takes_number));
    Cli::from_arg_matches(&command.try_get_matches_from(args)?)
}

fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error)
            if error.kind() == ErrorKind::DisplayVersion
                && version::is_asked_in_full(std::env::args_os()) =>
        {
            let printed = output::print_line(&version::in_full());
            return ExitCode::from(u8::from(printed.is_err()) * 2);
        }
        Err(error) => {
            // What it quotes are arguments, which a pattern may have filled in with names of files.
            let args = std::env::args_os().map(|arg| shown(arg.display()).to_string());
            let error = parse(args).err().unwrap_or(error);
            // A reader that has gone away (`lob --help | head`) is no failure.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let quiet = cli.quiet;
    output::log_to_stderr(cli.verbose);
    // The suite ends the process of a scenario itself.
    let is_asked_to_end = !matches!(cli.command, Command::BenchChild(_));
    if let Err(error) = interrupt::install(is_asked_to_end) {
        eprintln!("error: {}", output::in_one_line(&error));
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Synth(args) => command::synth::run(&args, quiet),
        Command::Verify(args) => command::verify::run(&args),
        Command::Convert(args) => {
            trace::recorded(&args.trace, "lob convert", || command::convert::run(&args, quiet))
        }
        Command::Inspect(args) => command::inspect::run(&args),
        Command::Store(args) => command::store::run(&args, quiet),
        Command::Render(args) => command::render::run(&args, quiet),
        Command::Load(args) => {
            trace::recorded(&args.trace, "lob load", || command::load::run(&args, quiet))
        }
        // One of several processes writes for all.
        Command::Train(args) if !args.is_leader() => command::train::run(&args, quiet),
        Command::Train(args) => {
            trace::recorded(&args.trace, "lob train", || command::train::run(&args, quiet))
        }
        Command::Runs(args) => command::runs::run(&args),
        Command::Embed(args) => command::embed::run(&args, quiet),
        Command::Eval(args) => command::eval::run(&args, quiet),
        Command::Signals(args) => command::signals::run(&args, quiet),
        Command::Bench(args) => command::bench::run(&args, quiet),
        Command::Report(args) => command::report::run(&args, quiet),
        Command::Compare(args) => command::compare::run(&args),
        Command::Ab(args) => command::ab::run(&args, quiet),
        Command::Profile(args) => command::profile::run(&args, quiet),
        Command::Top(args) => command::top::run(&args),
        Command::Serve(args) => command::serve::run(&args, quiet),
        Command::Machine(args) => command::machine::run(&args, quiet),
        Command::Schema => command::schema::run(),
        Command::Completions(args) => command::completions::run(&args, Cli::command()),
        Command::Man(args) => command::man::run(&args, Cli::command()),
        Command::BenchChild(args) => command::bench::run_child(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", output::in_lines(&output::in_one_line(&error)));
            ExitCode::from(2)
        }
    }
}
