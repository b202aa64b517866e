//! `lenet adapt`: adapts a trained network to the handwriting of one person.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use lenet::{
    Dataset, Error,
    metrics::{DigitErrors, Evaluation},
    nn::Network,
    train::{
        Progress,
        adapt::{AdaptParams, adapt},
    },
    weights::{self, Provenance},
};
use lenet_report::format::percent;

use super::train::{DIVERGED_MESSAGE, interrupt};
use crate::{
    EXIT_SUCCESS,
    args::{DataArgs, StateDictArgs, ThreadArgs},
    catalog::DEFAULT_RECOGNIZER,
    data::{Source, Split},
    output::{check_writable, print, warn, write_atomically},
    terminal::image_files_bar,
};

/// Adapt a trained network to the handwriting of one person, with ten labeled digits or more
///
/// The network is trained for a second or two on the digits, on digits of MNIST's training images and on drawn outliers. For all
/// but the digits, the targets are the network's own answers, so that it forgets nothing. All images of --data are learned, also
/// those that `lenet train` keeps for testing.
#[derive(clap::Args)]
pub struct Args {
    /// Trained weights: a built-in name (see `lenet models`) or a .safetensors file
    #[arg(default_value = DEFAULT_RECOGNIZER)]
    weights: PathBuf,
    #[command(flatten)]
    state_dict_args: StateDictArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Labeled images whose training split is rehearsed, and whose test split shows what was forgotten; values as those of --data
    /// [default: the built-in MNIST]
    #[arg(long, value_name = "FOLDER|FILE.csv|FILE.npz|DATASET")]
    rehearsal: Option<Source>,
    /// Seed of the choice of the rehearsed digits, of their order, of augmentation and of the outliers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: ThreadArgs,
    /// Where to save the weights
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Adapts and saves a network. The exit status is 130 if Ctrl-C interrupted it, and nothing is saved then.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let Args { weights: source, state_dict_args, data, rehearsal, seed, threads, out } = args;
    threads.start_thread_pool()?;
    let interrupted = interrupt::ctrl_c_flag()?;
    let network = state_dict_args.load_network(&source)?;
    let digits = data.load_all()?;
    data.warn_of_deviation(&digits)?;
    let rehearsal = rehearsal.unwrap_or_default();
    let (rehearsed, test) = (rehearsal.load_split(Split::Train)?, rehearsal.load_split(Split::Test)?);
    check_writable(&out, size_of_val(network.parameters()) as u64)?;

    let params = AdaptParams::default();
    let bar = image_files_bar(params.image_passes(digits.len()));
    let observe = |Progress { images, .. }: Progress| {
        bar.set_position(images as u64);
        let stops = AtomicBool::load(&interrupted, Ordering::Relaxed);
        if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let adapted = match adapt(&network, &digits, &rehearsed, &params, seed, observe) {
        Err(Error::Interrupted(_)) => {
            bar.finish_and_clear();
            warn("interrupted: no network was saved");
            return Ok(interrupt::EXIT_INTERRUPTED);
        }
        result => result?,
    };
    bar.finish_and_clear();

    let before = DigitErrors::of_network(&network, &digits)?;
    let after = DigitErrors::of_network(&adapted, &digits)?;
    let [old, new] = [accuracy(&network, &test)?, accuracy(&adapted, &test)?];
    let provenance = Provenance {
        test_accuracy: Some(new),
        ..params.provenance(&adapted, source.display().to_string(), seed)
    };
    write_atomically(&out, &weights::to_bytes(&adapted, &provenance)?)?;
    print(format_args!(
        "{} digits: {} misread and {} rejected before, {} misread and {} rejected after\n\
         {} test images: accuracy {} before, {} after\n\
         saved {}\n",
        digits.len(),
        before.misread,
        before.rejected,
        after.misread,
        after.rejected,
        test.len(),
        percent(old),
        percent(new),
        out.display()
    ))?;
    Ok(EXIT_SUCCESS)
}

/// Returns the fraction of images that the network classifies correctly.
fn accuracy(network: &Network, data: &Dataset) -> anyhow::Result<f64> {
    let evaluation = Evaluation::new(data.labels(), &network.probabilities(data.images()));
    Ok(evaluation.context(DIVERGED_MESSAGE)?.accuracy())
}
