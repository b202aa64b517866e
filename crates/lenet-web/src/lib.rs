#![doc = include_str!("../README.md")]

#[cfg(not(target_family = "wasm"))]
mod assets;
#[cfg(all(target_family = "wasm", feature = "recognizer"))]
mod recognizer;
#[cfg(all(target_family = "wasm", feature = "training"))]
mod training;

#[cfg(not(target_family = "wasm"))]
pub use assets::{Asset, assets};
#[cfg(all(target_family = "wasm", feature = "threads"))]
pub use wasm_bindgen_rayon::init_thread_pool;
