//! `lenet man`: writes the man pages.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::{
    Cli,
    output::{create_folder, print, write_atomically},
};

/// Print the man page of the program, or write those of all commands
#[derive(clap::Args)]
pub struct Args {
    /// Write lenet.1 and a page for each command, such as lenet-train.1, to this folder instead
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints the page, or writes the pages and prints how many there are.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // The names of the pages of commands begin with that of the program only then.
    program.build();
    let Some(folder) = args.out else {
        return print(String::from_utf8(render(&Man::new(program))?)?);
    };
    create_folder(&folder)?;
    let pages: Vec<_> = [&program]
        .into_iter()
        .chain(program.get_subcommands())
        .map(|command| Man::new(command.clone()))
        .collect();
    for page in &pages {
        write_atomically(&folder.join(page.get_filename()), &render(page)?)?;
    }
    print(format_args!("{}: {} man pages written\n", folder.display(), pages.len()))
}

fn render(page: &Man) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    page.render(&mut bytes)?;
    Ok(bytes)
}
