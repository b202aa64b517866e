//! Decoding the bytes of an image file.

use std::io::{self, BufRead, BufReader, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use lenet::image::ImageView;

use super::{
    pages::{TiffPage, tiff_pages},
    unsupported::UnsupportedFormat,
};

/// An upright image with 8 bits a channel.
pub struct Decoded(DynamicImage);

/// Errors of [`decode`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file begins like none of the formats that are decoded.
    #[error("format: expected {}, found none of them", decoded_formats())]
    UnknownFormat,
    /// The file has a known format that is not decoded.
    #[error("format: {0}")]
    UnsupportedFormat(UnsupportedFormat),
    /// The file has no such page.
    #[error("page: expected a number below {count}, found {page}")]
    NoSuchPage {
        /// The page, from 0.
        page: usize,
        /// Number of pages.
        count: usize,
    },
    /// The image has no pixels.
    #[error("size: expected pixels, found {width} x {height}")]
    Empty {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The image has more pixels than allowed.
    #[error("size: expected at most {max_megapixels} megapixels, found {width} x {height}")]
    TooManyPixels {
        /// The limit, in millions of pixels.
        max_megapixels: u32,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The decoded image would take more memory than allowed.
    #[error("size: expected at most {max} bytes of pixels, found {found}")]
    TooManyBytes {
        /// The limit, in bytes.
        max: u64,
        /// Size of the decoded image, in bytes.
        found: u64,
    },
    /// The file is truncated.
    #[error("could not be decoded: the file ends too soon")]
    Truncated,
    /// The file is malformed, or has a feature that the decoder doesn't support. The message includes that of the decoder.
    #[error("could not be decoded: {0}")]
    Malformed(ImageError),
    /// The bytes could not be read.
    #[error("could not be read")]
    Io(#[from] io::Error),
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            error => Self::Malformed(error),
        }
    }
}

impl Decoded {
    /// Returns a view of the pixels.
    ///
    /// # Errors
    /// If the library accepts no image of this size.
    pub fn view(&self) -> Result<ImageView<'_>, lenet::Error> {
        ImageView::new(self.0.width() as usize, self.0.height() as usize, self.0.as_bytes())
    }
}

/// Names of the formats, those that people have first.
const FORMATS: [(ImageFormat, &str); 7] = [
    (ImageFormat::Png, "PNG"),
    (ImageFormat::Jpeg, "JPEG"),
    (ImageFormat::Bmp, "BMP"),
    (ImageFormat::Gif, "GIF"),
    (ImageFormat::WebP, "WebP"),
    (ImageFormat::Pnm, "PNM"),
    (ImageFormat::Tiff, "TIFF"),
];

/// Lists the formats whose feature is enabled, as `PNG, JPEG or TIFF`.
fn decoded_formats() -> String {
    let names: Vec<_> =
        FORMATS.iter().filter(|(format, _)| format.reading_enabled()).map(|&(_, name)| name).collect();
    match names.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        names => names.concat(),
    }
}

/// Bytes that decoding may allocate for each pixel: four channels of 16 bits, and 2 more.
const MAX_ALLOC_BYTES_PER_PIXEL: u64 = 10;
/// Bytes that decoding may allocate beyond [`MAX_ALLOC_BYTES_PER_PIXEL`].
const MAX_FIXED_ALLOC_BYTES: u64 = 256 << 20;

/// An image file. A TIFF file has one or more pages, any other file has one: animations are still images of their first frame.
#[derive(Debug)]
pub struct ImageFile<R> {
    bytes: R,
    format: ImageFormat,
    /// The directories of a TIFF file's pages.
    directories: Vec<u64>,
}

impl<R: BufRead + Seek> ImageFile<R> {
    /// Identifies the format and finds the pages.
    ///
    /// # Errors
    /// If the format is unknown, or the bytes can't be read.
    pub fn new(mut bytes: R) -> Result<Self, Error> {
        if let Some(format) = UnsupportedFormat::identify(bytes.fill_buf()?) {
            return Err(Error::UnsupportedFormat(format));
        }
        let reader = ImageReader::new(bytes).with_guessed_format()?;
        let format = reader.format().filter(ImageFormat::reading_enabled).ok_or(Error::UnknownFormat)?;
        let mut bytes = reader.into_inner();
        let directories = if format == ImageFormat::Tiff { tiff_pages(&mut bytes)? } else { Vec::new() };
        bytes.rewind()?;
        Ok(Self { bytes, format, directories })
    }

    /// Returns the number of pages, at least 1.
    pub fn page_count(&self) -> usize {
        self.directories.len().max(1)
    }

    /// Decodes a page, from 0, of at most `max_megapixels` million pixels.
    ///
    /// Decoding allocates at most 10 bytes a pixel and 256 MiB.
    ///
    /// # Errors
    /// If there is no such page, or if it is truncated or malformed or exceeds a limit.
    pub fn decode_page(&mut self, page: usize, max_megapixels: u32) -> Result<Decoded, Error> {
        let count = self.page_count();
        self.bytes.rewind()?;
        match self.directories.get(page) {
            _ if page >= count => Err(Error::NoSuchPage { page, count }),
            Some(&directory) if page > 0 => {
                let page = BufReader::new(TiffPage::new(&mut self.bytes, directory)?);
                decode_image(page, self.format, max_megapixels)
            }
            _ => decode_image(&mut self.bytes, self.format, max_megapixels),
        }
    }
}

/// Decodes the first page of an image file, of at most `max_megapixels` million pixels.
///
/// # Errors
/// Those of [`ImageFile::new`] and [`ImageFile::decode_page`].
pub fn decode(bytes: impl BufRead + Seek, max_megapixels: u32) -> Result<Decoded, Error> {
    ImageFile::new(bytes)?.decode_page(0, max_megapixels)
}

fn decode_image(
    mut bytes: impl BufRead + Seek,
    format: ImageFormat,
    max_megapixels: u32,
) -> Result<Decoded, Error> {
    if format == ImageFormat::Jpeg {
        // The decoder accepts a truncated JPEG file and fills the missing part with gray.
        if !has_end_of_image(&mut bytes)? {
            return Err(Error::Truncated);
        }
        bytes.rewind()?;
    }
    let mut decoder = ImageReader::with_format(bytes, format).into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (pixels, limit) = (u64::from(width) * u64::from(height), u64::from(max_megapixels) * 1_000_000);
    if pixels == 0 {
        return Err(Error::Empty { width, height });
    }
    if pixels > limit {
        return Err(Error::TooManyPixels { max_megapixels, width, height });
    }
    let memory = MAX_ALLOC_BYTES_PER_PIXEL * pixels + MAX_FIXED_ALLOC_BYTES;
    // The TIFF decoder decodes into one buffer and copies to another.
    let (found, max) = (decoder.total_bytes(), if format == ImageFormat::Tiff { memory / 2 } else { memory });
    if found > max {
        return Err(Error::TooManyBytes { max, found });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(memory);
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let image = DynamicImage::from_decoder(decoder)?;
    // Reduced to 8 bits before it is rotated, because rotating copies the image.
    let mut image = match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        color if color.has_alpha() => DynamicImage::ImageLumaA8(image.into_luma_alpha8()),
        _ => DynamicImage::ImageLuma8(image.into_luma8()),
    };
    image.apply_orientation(orientation);
    Ok(Decoded(image))
}

/// Returns the number of pixels according to the header, or 0 if the bytes are no image of a known format.
pub fn pixel_count(bytes: impl BufRead + Seek) -> u64 {
    let reader = ImageReader::new(bytes).with_guessed_format().ok();
    let size = reader.and_then(|reader| reader.into_dimensions().ok());
    size.map_or(0, |(width, height)| u64::from(width) * u64::from(height))
}

/// Returns whether a JPEG file has an end-of-image marker (EOI; ITU-T T.81, annex B).
///
/// Marker segments are skipped, because an application segment may hold a thumbnail that has an EOI marker of its own.
fn has_end_of_image(jpeg: impl BufRead) -> io::Result<bool> {
    const MARKER: u8 = 0xff;
    const EOI: u8 = 0xd9;
    let mut bytes = jpeg.bytes();
    let mut previous = 0;
    while let Some(byte) = bytes.next().transpose()? {
        match (previous, byte) {
            (MARKER, EOI) => return Ok(true),
            // A segment that begins with its length, two bytes. All other markers stand alone (RST, SOI, TEM), or the pair is a
            // stuffed byte of the entropy-coded data.
            (MARKER, 0x02..=0xcf | 0xda..=0xfe) => {
                let mut length = || bytes.next().unwrap_or(Ok(0));
                let length = u16::from_be_bytes([length()?, length()?]);
                bytes
                    .by_ref()
                    .take(usize::from(length).saturating_sub(2))
                    .try_for_each(|byte| byte.map(drop))?;
            }
            _ => (),
        }
        previous = byte;
    }
    Ok(false)
}
