//! The program `lenet`, run as its users run it.

use std::path::Path;

use snapbox::cmd::{Command, cargo_bin};

mod fetch;
mod server;
mod show;

/// `lenet`, to be run in `folder`.
fn lenet(folder: &Path) -> Command {
    Command::new(cargo_bin!("lenet")).current_dir(folder)
}
