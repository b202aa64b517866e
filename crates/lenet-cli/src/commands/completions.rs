//! `lenet completions`: prints the completion script of a shell.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::{Cli, output::print};

/// Print the completion script of a shell
///
/// Bash, for example, loads the script that `lenet completions bash > ~/.local/share/bash-completion/completions/lenet` writes.
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "lenet", &mut script);
    print(String::from_utf8(script)?)
}
