//! Pictures from Python: encoded files, and pixels.

use std::{
    io::{BufRead, Cursor, Seek},
    path::PathBuf,
};

use anyhow::{Context, bail};
use lenet::image::ImageView;
use lenet_cli::decode::{self, ImageFile};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::{
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyString},
};

/// A picture that can be read without the interpreter.
pub enum Picture {
    /// The path of an image file.
    File(PathBuf),
    /// The content of an image file.
    Encoded(PyBackedBytes),
    /// Pixels with 8 bits a channel.
    Pixels { width: usize, height: usize, bytes: Vec<u8> },
}

/// Which page of a picture is read, and how large it may be.
#[derive(Clone, Copy)]
pub struct DecodeOptions {
    /// The page, from 0. `None` is the only page.
    pub page: Option<usize>,
    /// Millions of pixels of an encoded picture, at most.
    pub max_megapixels: u32,
}

impl Picture {
    /// Converts a path, bytes, a file object, a PIL image or an array.
    ///
    /// Paths and `bytes`, of which there may be many, are not passed to Python's code.
    pub fn extract(source: &Bound<PyAny>) -> PyResult<Self> {
        let converted = if source.is_instance_of::<PyBytes>() || source.is_instance_of::<PyString>() {
            source.clone()
        } else {
            source.py().import("lenet._convert")?.call_method1("as_picture", (source,))?
        };
        if converted.is_instance_of::<PyBytes>() {
            Ok(Self::Encoded(converted.extract()?))
        } else if converted.is_instance_of::<PyString>() {
            Ok(Self::File(converted.extract()?))
        } else {
            let array: PyReadonlyArrayDyn<u8> = converted.extract()?;
            let (height, width) = (array.shape()[0], array.shape()[1]);
            Ok(Self::Pixels { width, height, bytes: array.as_slice()?.to_vec() })
        }
    }

    /// Decodes the picture and returns what `read` returns for it. The message of an error begins with the path, if there is
    /// one.
    pub fn with_view<T>(
        &self,
        options: DecodeOptions,
        read: impl FnOnce(&ImageView) -> T,
    ) -> anyhow::Result<T> {
        match self {
            Self::File(path) => decode::open_pages(path)
                .and_then(|file| decode_page(file, options, read))
                .with_context(|| path.display().to_string()),
            Self::Encoded(bytes) => decode_page(ImageFile::new(Cursor::new(&**bytes))?, options, read),
            Self::Pixels { width, height, bytes } => Ok(read(&ImageView::new(*width, *height, bytes)?)),
        }
    }
}

fn decode_page<T>(
    mut file: ImageFile<impl BufRead + Seek>,
    DecodeOptions { page, max_megapixels }: DecodeOptions,
    read: impl FnOnce(&ImageView) -> T,
) -> anyhow::Result<T> {
    let count = file.page_count();
    if page.is_none() && count > 1 {
        bail!(
            "page: expected one page, found {count}; read each with `Recognizer.read(picture, page=0)` and so on"
        );
    }
    Ok(read(&file.decode_page(page.unwrap_or(0), max_megapixels)?.view()?))
}
