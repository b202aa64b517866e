//! From the bytes of a file to pixels.

use std::io::{self, BufRead, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use lenet::image::ImageView;

/// A picture upright, in 8 bits a channel.
pub struct Decoded(DynamicImage);

/// Why a picture can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing that begins so is known.
    #[error("format: expected PNG, JPEG, BMP, GIF, WebP, PNM or TIFF, found none of them")]
    Format,
    /// It has no pixels.
    #[error("size: expected pixels, found {width} x {height}")]
    Empty { width: u32, height: u32 },
    /// It has more pixels than are allowed.
    #[error("size: expected at most {megapixels} megapixels, found {width} x {height}")]
    Large { megapixels: u32, width: u32, height: u32 },
    /// Its pixels take more memory than is allowed.
    #[error("size: expected at most {most} bytes of pixels, found {found}")]
    Deep { most: u64, found: u64 },
    /// It is a part of a picture.
    #[error("could not be decoded: the file ends too soon")]
    Short,
    /// It is not what its format asks for, or what can be decoded of it. (The error's text has that of its source in it.)
    #[error("could not be decoded: {0}")]
    Undecodable(ImageError),
    /// Its bytes could not be had.
    #[error("could not be read")]
    Unread(#[from] io::Error),
}

impl From<ImageError> for Error {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Short,
            error => Self::Undecodable(error),
        }
    }
}

impl Decoded {
    /// Its pixels.
    pub fn picture(&self) -> anyhow::Result<ImageView<'_>> {
        Ok(ImageView::new(self.0.width() as usize, self.0.height() as usize, self.0.as_bytes())?)
    }
}

/// Decodes a picture of at most so many million pixels: the first one, of several in a file. It takes no more memory than ten bytes
/// for each pixel and [`SPARE`].
pub fn decode(bytes: impl BufRead + Seek, megapixels: u32) -> Result<Decoded, Error> {
    let reader = ImageReader::new(bytes).with_guessed_format()?;
    let format = reader.format().ok_or(Error::Format)?;
    let mut bytes = reader.into_inner();
    if format == ImageFormat::Jpeg {
        // Decoding would show what there is, and grey instead of the rest.
        if !has_end(&mut bytes)? {
            return Err(Error::Short);
        }
        bytes.rewind()?;
    }
    let mut decoder = ImageReader::with_format(bytes, format).into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (pixels, limit) = (u64::from(width) * u64::from(height), u64::from(megapixels) * 1_000_000);
    if pixels == 0 {
        return Err(Error::Empty { width, height });
    }
    if pixels > limit {
        return Err(Error::Large { megapixels, width, height });
    }
    let memory = 10 * pixels + SPARE;
    // That of TIFF decodes to one place and copies to another.
    let (found, most) =
        (decoder.total_bytes(), if format == ImageFormat::Tiff { memory / 2 } else { memory });
    if found > most {
        return Err(Error::Deep { most, found });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(memory);
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let image = DynamicImage::from_decoder(decoder)?;
    // Before it is turned, which takes a copy.
    let mut image = match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        colour if colour.has_alpha() => DynamicImage::ImageLumaA8(image.into_luma_alpha8()),
        _ => DynamicImage::ImageLuma8(image.into_luma8()),
    };
    image.apply_orientation(orientation);
    Ok(Decoded(image))
}

/// Bytes that decoding may take beside ten for each pixel.
const SPARE: u64 = 256 << 20;

/// Whether a JPEG file has the marker of its end (ITU-T T.81, annex B), elsewhere than in a segment, which may hold a small copy of the
/// picture.
fn has_end(jpeg: impl BufRead) -> io::Result<bool> {
    let mut bytes = jpeg.bytes();
    let mut before = 0;
    while let Some(byte) = bytes.next().transpose()? {
        match (before, byte) {
            (0xff, 0xd9) => return Ok(true),
            // A segment, the first two bytes of which are its length. All other pairs are without one, or of the picture itself.
            (0xff, 0x02..=0xcf | 0xda..=0xfe) => {
                let mut length = || bytes.next().unwrap_or(Ok(0));
                let length = u16::from_be_bytes([length()?, length()?]);
                bytes
                    .by_ref()
                    .take(usize::from(length).saturating_sub(2))
                    .try_for_each(|byte| byte.map(drop))?;
            }
            _ => (),
        }
        before = byte;
    }
    Ok(false)
}
