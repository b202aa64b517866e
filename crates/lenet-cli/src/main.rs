//! The program `lenet`: parses the command line, runs the command, and turns its result into an exit status.

use std::process::ExitCode;

use clap::Parser;
use lenet_cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run().into()
}
