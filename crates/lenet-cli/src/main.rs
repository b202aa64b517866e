//! The program `lenet`: files, terminal and network live here; the library does the rest.

use std::{io, process::ExitCode};

use clap::Parser;

mod checkpoint;
mod data;
mod decode;
mod trace;
mod weights_file;
mod output;
mod figure;
mod eval_images;
mod recipe;
mod terminal;

mod show;
mod train;
mod report;
mod eval;
mod predict;
mod models;
mod summary;
mod tutorial;
mod fetch;
mod recognize;
mod serve;

/// Handwritten digits: look at MNIST, train small networks on it, measure them and use them.
#[derive(Parser)]
#[command(name = "lenet", version)]
enum Command {
    Show(show::Args),
    Train(train::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Models(models::Args),
    Summary(summary::Args),
    Tutorial(tutorial::Args),
    Fetch(fetch::Args),
    Recognize(recognize::Args),
    Serve(serve::Args),
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        // The reader of our output left, as `head` does: no fault, but no success either.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            output::tell(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What a shell reports of a program that a closed pipe ended.
const BROKEN_PIPE: u8 = 141;

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Runs a command. An error becomes one line on stderr and exit status 1.
fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show(args) => show::run(args)?,
        Command::Train(args) => return train::run(args),
        Command::Eval(args) => eval::run(args)?,
        Command::Predict(args) => predict::run(args)?,
        Command::Models(args) => models::run(args)?,
        Command::Summary(args) => summary::run(args)?,
        Command::Tutorial(args) => tutorial::run(args)?,
        Command::Fetch(args) => fetch::run(args)?,
        Command::Recognize(args) => return recognize::run(args),
        Command::Serve(args) => serve::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
