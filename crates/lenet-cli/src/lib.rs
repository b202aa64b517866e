//! The program `lenet` as a library. Files, the terminal and the network are used here; the crate `lenet` does the rest.
//!
//! [`Cli`] is the command line. The other public items read and write files, so that tests, fuzz targets and the Python
//! package can call them.

use std::io;

mod args;
pub mod catalog;
pub mod cli_docs;
mod commands;
pub mod data;
pub mod decode;
pub mod download;
pub mod figure;
pub mod form_template;
mod format;
pub mod bounded_read;
pub mod output;
pub mod recipe;
mod serve;
mod terminal;

pub use commands::{eval::metrics::to_json as evaluation_json, train::DIVERGED_MESSAGE};

use lenet::recognize::ConstraintError;

use commands::{
    adapt, completions, eval, export, fetch, man, models, predict, recognize, show, summary, train, tutorial,
};

/// Handwritten digits: train small networks on MNIST, evaluate them, and recognize digits in images
#[derive(clap::Parser)]
#[command(name = "lenet", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Train(train::Args),
    Adapt(adapt::Args),
    Eval(eval::Args),
    Recognize(recognize::Args),
    Predict(predict::Args),
    Serve(serve::Args),
    Show(show::Args),
    Summary(summary::Args),
    Models(models::Args),
    Tutorial(tutorial::Args),
    Export(export::Args),
    Fetch(fetch::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The exit status of a command that did all of its work.
const EXIT_SUCCESS: u8 = 0;
/// The exit status of a command that failed, in part at least.
const EXIT_FAILURE: u8 = 1;
/// The exit status of options that contradict each other, as clap reports it.
const EXIT_USAGE: u8 = 2;
/// The exit status of a program that a closed pipe ended, as shells report it: 128 + SIGPIPE.
const EXIT_BROKEN_PIPE: u8 = 141;

impl Cli {
    /// Runs the command and returns the exit status.
    ///
    /// An error is printed as one line on stderr, and the status is then 1. Where the reader of stdout has gone, as after
    /// `lenet ... | head`, nothing is printed and the status is 141.
    #[must_use]
    pub fn run(self) -> u8 {
        match self.try_run() {
            Ok(code) => code,
            Err(error) if is_broken_pipe(&error) => EXIT_BROKEN_PIPE,
            Err(error) => {
                output::warn(format_args!("error: {error:#}"));
                if error.is::<ConstraintError>() { EXIT_USAGE } else { EXIT_FAILURE }
            }
        }
    }

    fn try_run(self) -> anyhow::Result<u8> {
        match self.command {
            Command::Train(args) => return train::run(args),
            Command::Adapt(args) => return adapt::run(args),
            Command::Eval(args) => eval::run(args)?,
            Command::Recognize(args) => return recognize::run(args),
            Command::Predict(args) => predict::run(args)?,
            Command::Serve(args) => serve::run(args)?,
            Command::Show(args) => show::run(args)?,
            Command::Summary(args) => summary::run(args)?,
            Command::Models(args) => models::run(args)?,
            Command::Tutorial(args) => tutorial::run(args)?,
            Command::Export(args) => export::run(args)?,
            Command::Fetch(args) => fetch::run(args)?,
            Command::Completions(args) => completions::run(args)?,
            Command::Man(args) => man::run(args)?,
        }
        Ok(EXIT_SUCCESS)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
