//! From the bytes of a file to pixels.

use std::io::{self, BufRead, Seek};

use anyhow::{Context, anyhow, ensure};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use lenet::image::Picture;

/// A picture upright, in 8 bits a channel.
pub struct Decoded(DynamicImage);

impl Decoded {
    /// Its pixels.
    pub fn picture(&self) -> anyhow::Result<Picture<'_>> {
        Ok(Picture::new(self.0.width() as usize, self.0.height() as usize, self.0.as_bytes())?)
    }
}

/// Decodes a picture of at most so many million pixels: the first one, of several in a file. It takes no more memory than ten bytes
/// for each pixel and [`SPARE`].
pub fn decode(bytes: impl BufRead + Seek, megapixels: u32) -> anyhow::Result<Decoded> {
    let reader = ImageReader::new(bytes).with_guessed_format().context("could not be read")?;
    let format = reader
        .format()
        .context("format: expected PNG, JPEG, BMP, GIF, WebP, PNM or TIFF, found none of them")?;
    let mut bytes = reader.into_inner();
    if format == ImageFormat::Jpeg {
        // Decoding would show what there is, and grey instead of the rest.
        ensure!(has_end(&mut bytes).context("could not be read")?, TOO_SHORT);
        bytes.rewind().context("could not be read")?;
    }
    let mut decoder = ImageReader::with_format(bytes, format).into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    let (pixels, limit) = (u64::from(width) * u64::from(height), u64::from(megapixels) * 1_000_000);
    ensure!(pixels > 0, "size: expected pixels, found {width} x {height}");
    ensure!(pixels <= limit, "size: expected at most {megapixels} megapixels, found {width} x {height}");
    let memory = 10 * pixels + SPARE;
    // That of TIFF decodes to one place and copies to another.
    let (bytes, most) =
        (decoder.total_bytes(), if format == ImageFormat::Tiff { memory / 2 } else { memory });
    ensure!(bytes <= most, "size: expected at most {most} bytes of pixels, found {bytes}");
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(memory);
    decoder.set_limits(limits).map_err(undecodable)?;
    let orientation = decoder.orientation().map_err(undecodable)?;
    let image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
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
const TOO_SHORT: &str = "could not be decoded: the file ends too soon";

fn undecodable(error: ImageError) -> anyhow::Error {
    match error {
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => anyhow!(TOO_SHORT),
        // Its text has that of its source in it.
        error => anyhow!("could not be decoded: {error}"),
    }
}

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
