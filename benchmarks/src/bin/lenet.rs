//! lenet: a portable binary that detects the SIMD level at run time.

use std::{ops::ControlFlow, time::Instant};

use benchmarks::{BATCH, Model, Run, WARM_UP, Work, infer, print_training};
use clap::Parser;
use lenet::{
    CLASSES, PIXELS, models,
    nn::{
        Architecture, Network, Normalize, Targets,
        optim::{Optimizer, Schedule},
    },
    train::{Recipe, Trainer},
};

fn main() {
    let work = Work::parse();
    let (Work::Train { run, .. } | Work::Infer { run, .. }) = work;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(run.threads);
    pool.build_global().expect("the first pool");
    match work {
        Work::Train { model, run } => train(model, run),
        Work::Infer { run, .. } => {
            let network = network(models::lenet5());
            let test = lenet_mnist::test();
            let (network, images) = (&network, test.images());
            infer(run, |batch| {
                let mut session = network.session(run.threads);
                let mut logits = vec![0.0; batch * CLASSES];
                move || {
                    session.logits(&images[..batch * PIXELS], &mut logits);
                    logits[0]
                }
            });
        }
    }
}

fn network(architecture: Architecture) -> Network {
    Network::new(architecture, Normalize::UNIT, 0).expect("a known architecture")
}

fn train(model: Model, run: Run) {
    let (architecture, optimizer) = match model {
        Model::Lenet5 => (models::lenet5(), Optimizer::Adam { lr: 0.001 }),
        Model::Cnn => (models::cnn(), Optimizer::Adam { lr: 0.001 }),
        Model::Mlp => (models::mlp(), Optimizer::Sgd { lr: 0.01, momentum: 0.0, weight_decay: 0.0 }),
    };
    let recipe = Recipe {
        name: "benchmark".into(),
        // More than fit into any measurement.
        epochs: 1000,
        batch_size: BATCH,
        schedule: Schedule::Constant,
        normalize: Normalize::UNIT,
        optimizer,
        ..Recipe::default()
    };
    let data = lenet_mnist::train();
    let mut trainer = Trainer::new(network(architecture), &data, recipe, 0).expect("a valid recipe");
    let (mut start, mut images, mut time) = (None, 0, None);
    while time.is_none() {
        // The epoch that is being trained when the time is up is finished, because an interruption would discard it.
        let epoch = trainer.run_epoch(|progress| {
            if time.is_some() {
                return ControlFlow::Continue(());
            }
            let Some(start) = start else {
                if progress.images == WARM_UP * BATCH {
                    start = Some(Instant::now());
                }
                return ControlFlow::Continue(());
            };
            images += BATCH;
            if start.elapsed().as_secs_f64() < run.seconds {
                return ControlFlow::Continue(());
            }
            time = Some(start.elapsed());
            ControlFlow::Continue(())
        });
        epoch.expect("nothing interrupts the epoch");
    }
    let seen = Targets::Labels(&data.labels()[..BATCH]);
    let (loss, _) = trainer.trained_network().loss_and_gradient(&data.images()[..BATCH * PIXELS], seen);
    print_training(images, time.expect("the loop ended"), loss);
}
