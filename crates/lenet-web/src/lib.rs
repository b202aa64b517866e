#![doc = include_str!("../README.md")]

#[cfg(not(target_family = "wasm"))]
mod assets;
#[cfg(target_family = "wasm")]
mod options;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub use assets::{Asset, assets};
