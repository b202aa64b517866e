//! Trains and runs small convolutional networks, fast on a CPU: layers with hand-written forward and backward passes, SIMD
//! kernels for every level of the processor, and training steps on several threads.
//!
//! A network is an [`Architecture`] with parameters. This one learns to tell a horizontal from a vertical bar:
//!
//! ```
//! use lenet_nn::{
//!     Architecture, BatchContext, Conv2d, DataParallel, Layer, Linear, MaxPool2d, Network, Normalize, Shape, argmax,
//!     optim::{Optimizer, OptimizerState},
//! };
//!
//! const SIDE: usize = 6;
//! let input = Shape { channels: 1, height: SIDE, width: SIDE };
//! let architecture = Architecture::new("bars", input, 2)
//!     .layer("conv", Conv2d::new(1, 4, 3)) // (4, 4, 4)
//!     .layer("relu", Layer::ReLU)
//!     .layer("pool", MaxPool2d::new(2)) // (4, 2, 2)
//!     .layer("flatten", Layer::Flatten) // (16, 1, 1)
//!     .layer("fc", Linear::new(16, 2));
//! let mut network = Network::new(architecture, Normalize::UNIT, 0)?;
//!
//! // All bars: class 0 is horizontal, class 1 vertical.
//! let bar = |class: usize, line: usize| -> Vec<u8> {
//!     let on = |i: usize| if class == 0 { i / SIDE == line } else { i % SIDE == line };
//!     (0..SIDE * SIDE).map(|i| if on(i) { 255 } else { 0 }).collect()
//! };
//! let images: Vec<Vec<u8>> = (0..2 * SIDE).map(|i| bar(i % 2, i / 2)).collect();
//! let targets = |i: usize| if i % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
//!
//! let optimizer = Optimizer::Adam { lr: 0.01 };
//! let mut state = OptimizerState::new(optimizer, network.parameters().len(), Vec::new());
//! let mut data_parallel = DataParallel::new(&network, images.len(), 1);
//! let batch = BatchContext { len: images.len(), dropout_key: None };
//! for _ in 0..100 {
//!     data_parallel.compute_gradients(&network, batch, &mut [()], |samples, worker, ()| {
//!         let images = images[samples.clone()].iter().map(Vec::as_slice);
//!         worker.load_samples(&network, images, samples.map(targets));
//!     });
//!     let level = network.simd_level();
//!     data_parallel.update(level, state.begin_step(optimizer.lr(), network.parameters_mut(), None));
//! }
//!
//! let probabilities = network.probabilities(&images.concat());
//! for (i, row) in probabilities.chunks_exact(2).enumerate() {
//!     assert_eq!(usize::from(argmax(row)), i % 2);
//! }
//! # Ok::<(), lenet_nn::Error>(())
//! ```
//!
//! # Shapes
//!
//! | letter | meaning |
//! |---|---|
//! | `B` | samples of a batch |
//! | `C` | channels, also features of a fully connected layer |
//! | `H`, `W` | height and width of a channel |
//! | `K` | classes or labels, also height and width of a kernel or window |
//!
//! Images are `u8` `(B, C, H, W)`, logits and probabilities are `f32` `(B, K)`, or `(B, K, H, W)` for `K` labels of each
//! pixel ([`Architecture::dense_prediction`]), both flat slices in row-major order. Parameters in [`Network::tensors`] have
//! PyTorch's names, shapes and order.
//!
//! # Reproducibility
//!
//! The same seed, number of workers and SIMD level give the same bits.

#![allow(
    clippy::needless_range_loop,
    reason = "loops of constant length over register tiles read best by index"
)]
#![cfg_attr(
    not(feature = "training"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only a backward pass uses stays beside the forward pass"
    )
)]

mod shape;
mod error;
mod activation_layout;
mod simd;
mod partition;
mod operator;
mod ops;
mod layer;
mod architecture;
mod normalize;
mod loss;
pub mod optim;
mod network;
mod fold;
mod workspace;
#[cfg(feature = "training")]
mod worker;
mod spin_barrier;
#[cfg(feature = "training")]
mod data_parallel;
mod single_sample;
mod session;
#[cfg(feature = "training")]
#[doc(hidden)]
pub mod profile;

#[cfg(test)]
mod tests;

/// The examples of the README are tested as those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use architecture::{Architecture, LayerSummary, ModelComplexity};
#[cfg(feature = "training")]
pub use data_parallel::{BatchContext, DataParallel};
pub use error::{Error, LayerError};
pub use layer::Layer;
pub use loss::{BatchMetrics, PredictionKind, Targets, argmax, smooth_targets, softmax};
pub use network::{NamedTensor, Network};
pub use normalize::Normalize;
pub use ops::{
    batch_norm::BatchNorm2d,
    conv2d::Conv2d,
    dropout::Dropout,
    linear::Linear,
    pixel_shuffle::PixelShuffle,
    pool::{AvgPool2d, MaxPool2d},
};
pub use session::{INFERENCE_BATCH_SIZE, Session};
pub use shape::Shape;
pub use single_sample::{FeatureMaps, OutputRange};
#[cfg(feature = "training")]
pub use worker::Worker;
