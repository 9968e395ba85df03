//! `lob completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap_complete::Shell;

use crate::output;

/// Print the completion script of a shell
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lob completions bash > ~/.local/share/bash-completion/completions/lob
  lob completions zsh > ~/.zfunc/_lob
  lob completions fish > ~/.config/fish/completions/lob.fish")]
pub(crate) struct Args {
    /// The shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, mut lob: clap::Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut lob, "lob", &mut script);
    output::print_line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
