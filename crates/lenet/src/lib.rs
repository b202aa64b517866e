//! Trains small neural networks for handwritten digits fast on CPUs, and recognizes digits in pictures.
//!
//! The library computes values from bytes and values. It does not access files, network, clock, environment or standard streams.
//!
//! # Recognize digits
//!
//! ```
//! use lenet::{image::Drawing, pretrained, recognize::Recognizer};
//!
//! // A picture from pixels is `ImageView::new(width, height, &bytes)`; this one is drawn by strokes of a pen.
//! let seven = Drawing::new(&[vec![[10.0, 10.0], [40.0, 10.0], [22.0, 60.0]]])?;
//! let (network, _) = pretrained::handwriting();
//! let reading = Recognizer::new(network)?.read(&seven.view());
//! assert_eq!(reading.text, "7");
//! # Ok::<(), lenet::Error>(())
//! ```
//!
//! # Train
//!
//! [`models`] has LeNet-5 and other architectures; this one is defined layer by layer. The crate `lenet-mnist` embeds MNIST,
//! whose 60,000 images replace the 1,200 drawn ones.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use lenet::{CLASSES, data::INPUT_SHAPE};
//! use lenet::metrics::Evaluation;
//! use lenet::nn::{Architecture, AvgPool2d, Conv2d, Layer, Linear, Network};
//! use lenet::train::{Recipe, Trainer};
//!
//! let lenet5 = Architecture::new("lenet5", INPUT_SHAPE, CLASSES)
//!     .layer("conv1", Conv2d::new(1, 6, 5).padding(2)) // (1, 28, 28) to (6, 28, 28)
//!     .layer("tanh1", Layer::Tanh)
//!     .layer("pool1", AvgPool2d::new(2)) // (6, 14, 14)
//!     .layer("conv2", Conv2d::new(6, 16, 5)) // (16, 10, 10)
//!     .layer("tanh2", Layer::Tanh)
//!     .layer("pool2", AvgPool2d::new(2)) // (16, 5, 5)
//!     .layer("conv3", Conv2d::new(16, 120, 5)) // (120, 1, 1)
//!     .layer("tanh3", Layer::Tanh)
//!     .layer("flatten", Layer::Flatten)
//!     .layer("fc1", Linear::new(120, 84))
//!     .layer("tanh4", Layer::Tanh)
//!     .layer("fc2", Linear::new(84, 10));
//!
//! let digits = draw_digits()?;
//! let (train, test) = (digits.slice(0..1200), digits.slice(1200..digits.len()));
//! let recipe = Recipe { batch_size: 20, ..Recipe::default() };
//! let network = Network::new(lenet5, recipe.normalize, 0)?;
//! let mut trainer = Trainer::new(network, &train, recipe, 0)?;
//! while let Some(epoch) = trainer.run_epoch(|_| ControlFlow::Continue(()))? {
//!     println!("loss {:.4}", epoch.loss);
//! }
//! let probabilities = trainer.trained_network().probabilities(test.images());
//! let evaluation = Evaluation::new(test.labels(), &probabilities)?;
//! assert!(evaluation.accuracy() > 0.97);
//!
//! # /// Draws each digit at 153 different positions. A digit has 5 rows of 3 squares of 4 x 4 pixels.
//! # fn draw_digits() -> Result<lenet::Dataset, lenet::Error> {
//! #     /// An octal digit for each row, a bit for each square.
//! #     const FONT: [usize; 10] =
//! #         [0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717];
//! #     let pixel = |image: usize, row: usize, column: usize| {
//! #         let (digit, top, left) = (image % 10, image / 10 % 9, image / 10 % 17);
//! #         let (y, x) = (row.wrapping_sub(top) / 4, column.wrapping_sub(left) / 4);
//! #         if y < 5 && x < 3 && FONT[digit] >> (14 - 3 * y - x) & 1 == 1 { 255 } else { 0 }
//! #     };
//! #     let pixels = (0..1530 * 28 * 28).map(|i| pixel(i / (28 * 28), i / 28 % 28, i % 28)).collect();
//! #     lenet::Dataset::new(pixels, (0..1530).map(|image| (image % 10) as u8).collect())
//! # }
//! # Ok::<(), lenet::Error>(())
//! ```
//!
//! The examples of the crate show more: `train`, `fine_tune`, `recognize` and `custom_dataset`.

#![cfg_attr(
    not(feature = "training"),
    allow(dead_code, unused_imports, reason = "what only a training uses stays where it belongs")
)]

mod error;

pub use lenet_nn as nn;

pub mod data;
pub mod image;
pub mod models;
mod metadata;
mod tensor_file;
pub mod pytorch;
pub mod weights;
pub mod onnx;
pub mod c_source;
pub mod pretrained;
pub mod train;
pub mod metrics;
pub mod calibrate;
pub mod recognize;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use data::{CLASSES, Dataset, PIXELS, SIDE};
pub use error::{Error, Interrupted};
