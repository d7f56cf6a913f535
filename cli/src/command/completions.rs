//! `entente completions`.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Failure;

/// Write a completion script for your shell
///
/// Writes the script to stdout, for instance:
///   entente completions bash > ~/.local/share/bash-completion/completions/entente
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "entente",
        &mut io::stdout().lock(),
    );
    Ok(())
}
