//! The program `lenet`: files, terminal and network live here; the library does the rest.

use std::process::ExitCode;

use clap::Parser;

mod data;
mod eval;
mod fetch;
mod model;
mod output;
mod picture;
mod predict;
mod show;
mod summary;
mod terminal;
mod train;
mod tutorial;

/// Handwritten digits: look at MNIST, train small networks on it, measure them and use them.
#[derive(Parser)]
#[command(name = "lenet", version)]
enum Command {
    Show(show::Args),
    Train(train::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Summary(summary::Args),
    Tutorial(tutorial::Args),
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
        Command::Show(args) => show::run(args)?,
        Command::Train(args) => return train::run(args),
        Command::Eval(args) => eval::run(args)?,
        Command::Predict(args) => predict::run(args)?,
        Command::Summary(args) => summary::run(args)?,
        Command::Tutorial(args) => tutorial::run(args)?,
        Command::Fetch(args) => fetch::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
