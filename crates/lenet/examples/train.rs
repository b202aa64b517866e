//! Trains LeNet-5, evaluates it and saves the weights.
//!
//! ```text
//! cargo run --release -p lenet --example train
//! cargo run --release -p lenet --example train -- train-images train-labels t10k-images t10k-labels
//! ```
//!
//! The arguments are IDX files such as those of MNIST. Without them, the images are digits of a pixel font.

mod digits;

use std::{env, error::Error, fs, fs::File, io::BufReader, ops::ControlFlow};

use lenet::{
    Dataset,
    metrics::Evaluation,
    models,
    nn::Network,
    train::{Recipe, Trainer},
    weights::{self, Provenance},
};

fn load(images: &str, labels: &str) -> Result<Dataset, Box<dyn Error>> {
    let [images, labels] = [File::open(images)?, File::open(labels)?].map(BufReader::new);
    Ok(Dataset::from_idx(images, labels)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = env::args().skip(1).collect();
    let (train, test) = match files.as_slice() {
        [] => (digits::draw(2000, 1)?, digits::draw(500, 2)?),
        [train, train_labels, test, test_labels] => (load(train, train_labels)?, load(test, test_labels)?),
        _ => return Err("expected no arguments or four IDX files".into()),
    };

    let seed = 0;
    let recipe = Recipe { epochs: 3, ..Recipe::default() };
    let network = Network::new(models::lenet5(), recipe.normalize, seed)?;
    let mut trainer = Trainer::new(network, &train, recipe.clone(), seed)?;
    while let Some(epoch) = trainer.run_epoch(|_| ControlFlow::Continue(()))? {
        println!("loss {:.4}, training accuracy {:.2}%", epoch.loss, 100.0 * epoch.train_accuracy);
    }

    let network = trainer.into_trained_network();
    let evaluation = Evaluation::new(test.labels(), &network.probabilities(test.images()))?;
    println!("test accuracy {:.2}%", 100.0 * evaluation.accuracy());

    let provenance = Provenance {
        epochs: recipe.epochs,
        recipe,
        seed,
        test_accuracy: Some(evaluation.accuracy()),
        ..Provenance::default()
    };
    let path = env::temp_dir().join("lenet5.safetensors");
    fs::write(&path, weights::to_bytes(&network, &provenance)?)?;
    println!("saved {}", path.display());
    Ok(())
}
