//! Ctrl-C.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context;

/// The exit status of a program that Ctrl-C ended, as shells report it: 128 + SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Returns a flag that the first Ctrl-C sets. The second Ctrl-C ends the program at once.
pub fn ctrl_c_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_INTERRUPTED.into());
        }
    })
    .context("the handler of Ctrl-C could not be installed")?;
    Ok(interrupted)
}
