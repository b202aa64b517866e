#![doc = include_str!("../README.md")]

#[cfg(feature = "data-url")]
pub mod data_url;
mod image_file;
mod pages;
mod unsupported;

pub use image_file::{Decoded, Error, ImageFile, decode, pixel_count};
pub use unsupported::UnsupportedFormat;
