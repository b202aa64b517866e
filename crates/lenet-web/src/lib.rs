//! The page that draws and reads digits, and the door through which it enters the library.
//!
//! For WebAssembly this crate is the library as scripts call it; else it has the files that a server sends.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(not(target_family = "wasm"))]
mod files;

#[cfg(not(target_family = "wasm"))]
pub use files::{File, files};
