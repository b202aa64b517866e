//! Recipes by name, for the architectures of [`models`](crate::models).
//!
//! The accuracies are those on the last 10,000 training images, after a training on the others.

use super::Recipe;
use crate::{
    data::{
        augment::{Augmentation, Elastic},
        synthetic::SyntheticFractions,
    },
    nn::{
        Normalize,
        optim::{Optimizer, Schedule},
    },
};

/// Returns the recipe that trains LeNet-5 in seconds: 99.08% and 99.10% (two seeds) with this mild augmentation, 98.83% and
/// 98.97% without.
pub fn fast() -> Recipe {
    Recipe {
        name: "fast".into(),
        epochs: 7,
        ema: 0.99,
        schedule: Schedule::OneCycle { pct_start: 0.25, div_factor: 10.0, final_div_factor: 1000.0 },
        optimizer: Optimizer::AdamW { lr: 0.004, weight_decay: 0.02 },
        augmentation: Some(Augmentation {
            rotation: 6.0,
            scale: 0.06,
            shear: 0.06,
            shift: 0.8,
            elastic: None,
            ..Augmentation::default()
        }),
        ..Recipe::default()
    }
}

/// Returns the most accurate known recipe of an architecture, or `None` for an unknown name.
pub fn best(architecture: &str) -> Option<Recipe> {
    Some(match architecture {
        "mlp" => best_mlp(),
        "cnn" | "lenet5" => best_lenet5(),
        "vgg" => best_vgg(),
        "vgg_wide" | "handwriting" => best_vgg_wide(),
        "micro" => best_micro(),
        "ink" => best_ink(),
        "marks" => best_marks(),
        _ => return None,
    })
}

/// Returns the settings that all recipes of [`best`] share.
fn best_base() -> Recipe {
    Recipe { name: "best".into(), ema: 0.998, ..Recipe::default() }
}

fn one_cycle(pct_start: f32) -> Schedule {
    Schedule::OneCycle { pct_start, div_factor: 10.0, final_div_factor: 100.0 }
}

fn elastic(rms: f32) -> Option<Elastic> {
    Some(Elastic { rms, sigma: 5.0 })
}

/// Returns the recipe of `mlp`. Elastic distortion replaces the invariance of convolutions: 99.13% after half of these epochs.
fn best_mlp() -> Recipe {
    Recipe {
        epochs: 40,
        optimizer: Optimizer::AdamW { lr: 0.001, weight_decay: 0.02 },
        augmentation: Some(Augmentation { elastic: elastic(0.8), ..Augmentation::default() }),
        ..best_base()
    }
}

/// Returns the recipe of `lenet5` and `cnn`: 99.54% and 99.49% (two seeds) with `lenet5`, and 99.38% and 99.34% after 40 epochs
/// with affine augmentation and Adam.
fn best_lenet5() -> Recipe {
    Recipe {
        epochs: 80,
        optimizer: Optimizer::AdamW { lr: 0.003, weight_decay: 0.02 },
        augmentation: Some(Augmentation::default()),
        ..best_base()
    }
}

/// Returns the recipe of `vgg`: 99.68% with this strong augmentation and dropout, 99.57% without dropout after 40 epochs.
fn best_vgg() -> Recipe {
    Recipe {
        epochs: 30,
        label_smoothing: 0.05,
        dropout: Some(0.3),
        schedule: one_cycle(0.2),
        optimizer: Optimizer::AdamW { lr: 0.004, weight_decay: 0.02 },
        augmentation: Some(Augmentation {
            rotation: 12.0,
            scale: 0.15,
            shear: 0.15,
            shift: 2.0,
            ..Augmentation::default()
        }),
        ..best_base()
    }
}

/// Returns the recipe of `vgg_wide`, for handwriting unlike MNIST's: strong augmentation, glyphs in shapes that are rare in MNIST, line crops, low-resolution
/// bitmaps and outliers.
fn best_vgg_wide() -> Recipe {
    Recipe {
        dropout: Some(0.25),
        synthetic: Some(SyntheticFractions { glyphs: 0.24, line_crops: 0.18, outliers: 0.34, low_res: 0.2 }),
        augmentation: Some(Augmentation {
            rotation: 12.0,
            scale: 0.25,
            shear: 0.2,
            shift: 1.5,
            stroke: 0.7,
            noise: 0.4,
            elastic: elastic(0.7),
        }),
        ..best_vgg()
    }
}

/// Returns the recipe of `micro`: 99.35% after 40 epochs, 99.29% after 20.
fn best_micro() -> Recipe {
    Recipe {
        epochs: 40,
        schedule: one_cycle(0.2),
        optimizer: Optimizer::AdamW { lr: 0.008, weight_decay: 0.005 },
        augmentation: Some(Augmentation {
            rotation: 8.0,
            scale: 0.1,
            shear: 0.1,
            shift: 1.5,
            elastic: elastic(0.4),
            ..Augmentation::default()
        }),
        ..best_base()
    }
}

/// Returns the recipe of `ink`, which segments ink and rules. Each sample is a new synthetic page patch of 96x96 pixels.
fn best_ink() -> Recipe {
    Recipe {
        epochs: 3,
        batch_size: 16,
        schedule: one_cycle(0.15),
        // The levels of the local contrast as standard deviations: (128, 24) / 255.
        normalize: Normalize { mean: 0.5019608, std: 0.09411765 },
        optimizer: Optimizer::AdamW { lr: 0.004, weight_decay: 0.01 },
        ..best_base()
    }
}

/// Returns the recipe of `marks`, which classifies points, commas, slashes and other marks. Each sample is a new synthetic part of
/// a line.
fn best_marks() -> Recipe {
    Recipe {
        epochs: 12,
        batch_size: 64,
        schedule: one_cycle(0.15),
        normalize: Normalize::UNIT,
        optimizer: Optimizer::AdamW { lr: 0.004, weight_decay: 0.01 },
        ..best_base()
    }
}

/// Returns the recipe of the PyTorch tutorial for `mlp`, `cnn` or `lenet5`, ten epochs of batches of 100, or `None` for another
/// architecture.
///
/// The tutorial applies `Normalize((0,), (128,))` to pixels from 0 to 1, so that the inputs of its convolutional networks are at
/// most 1/128.
pub fn tutorial(architecture: &str) -> Option<Recipe> {
    let near_zero = Normalize { mean: 0.0, std: 128.0 };
    let (normalize, optimizer) = match architecture {
        "mlp" => (Normalize::UNIT, Optimizer::Sgd { lr: 0.01, momentum: 0.0, weight_decay: 0.0 }),
        "cnn" => (near_zero, Optimizer::Adam { lr: 0.01 }),
        "lenet5" => (near_zero, Optimizer::Adam { lr: 0.001 }),
        _ => return None,
    };
    Some(Recipe {
        name: "tutorial".into(),
        epochs: 10,
        batch_size: 100,
        schedule: Schedule::Constant,
        normalize,
        optimizer,
        ..Recipe::default()
    })
}

/// Returns the accuracies that the PyTorch tutorial prints after each epoch for `mlp`, `cnn` or `lenet5`, fractions, or `None` for
/// another architecture. They are those on the training images, because its test set is created with `train=True`.
pub fn tutorial_accuracies(architecture: &str) -> Option<[f64; 10]> {
    Some(match architecture {
        "mlp" => [0.8411, 0.8753, 0.8901, 0.8976, 0.9029, 0.9069, 0.9110, 0.9148, 0.9174, 0.9196],
        "cnn" => [0.8174, 0.8538, 0.8637, 0.8775, 0.8800, 0.8817, 0.8881, 0.8834, 0.8886, 0.8875],
        "lenet5" => [0.8946, 0.9314, 0.9469, 0.9584, 0.9643, 0.9699, 0.9714, 0.9766, 0.9805, 0.9822],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_valid() {
        let names = ["mlp", "cnn", "lenet5", "vgg", "vgg_wide", "micro", "ink", "marks"];
        for recipe in
            names.into_iter().flat_map(|name| [best(name), tutorial(name)]).flatten().chain([fast()])
        {
            recipe.validate().unwrap();
        }
        assert_eq!((best("resnet"), tutorial("vgg"), tutorial_accuracies("vgg")), (None, None, None));
    }
}
