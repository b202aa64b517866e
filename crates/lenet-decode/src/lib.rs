#![doc = include_str!("../README.md")]

mod image_file;
mod pages;
mod unsupported;

pub use image_file::{Decoded, Error, ImageFile, decode, pixel_count};
pub use unsupported::UnsupportedFormat;
