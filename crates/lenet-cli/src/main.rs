//! The program `lenet`: files, terminal and network live here; the library does the rest.

use std::process::ExitCode;

use clap::Parser;

#[allow(dead_code)]
mod data;
#[allow(dead_code)]
mod fetch;
#[allow(dead_code)]
mod output;

/// Handwritten digits: look at MNIST, train small networks on it, measure them and use them.
#[derive(Parser)]
#[command(name = "lenet", version)]
enum Command {
    Fetch(fetch::Args),
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. An error becomes one line on stderr and exit status 1.
fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Fetch(args) => fetch::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
