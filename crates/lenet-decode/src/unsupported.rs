//! Formats of documents and photos that are identified, so that errors can say what to do with them.

use std::fmt;

/// A format that is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsupportedFormat {
    /// Portable Document Format.
    Pdf,
    /// High Efficiency Image File Format, as phones save photos.
    Heic,
    /// AV1 Image File Format.
    Avif,
}

impl UnsupportedFormat {
    /// Identifies a file by its first bytes.
    pub fn identify(bytes: &[u8]) -> Option<Self> {
        // Brands of ISO base media files (ISO/IEC 23008-12, annex B, and the AVIF specification) follow the length and `ftyp`.
        match (bytes.get(4..8), bytes.get(8..12)) {
            _ if bytes.starts_with(b"%PDF-") => Some(Self::Pdf),
            (Some(b"ftyp"), Some(b"avif" | b"avis")) => Some(Self::Avif),
            (
                Some(b"ftyp"),
                Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"),
            ) => Some(Self::Heic),
            _ => None,
        }
    }
}

impl fmt::Display for UnsupportedFormat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Pdf => {
                "PDF is not supported; convert its pages to images first, as `pdftoppm -r 200 -png FILE.pdf page` does"
            }
            Self::Heic => {
                "HEIC is not supported; convert the photo to JPEG first, as `heif-convert` does, or let the phone save \
                 JPEG (iPhone: Settings, Camera, Formats, Most Compatible)"
            }
            Self::Avif => "AVIF is not supported; convert the image to PNG first, as `avifdec` does",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifies_documents_and_photos() {
        for (bytes, format) in [
            (&b"%PDF-1.7\n"[..], Some(UnsupportedFormat::Pdf)),
            (b"\0\0\0\x18ftypheic\0\0\0\0", Some(UnsupportedFormat::Heic)),
            (b"\0\0\0\x20ftypavif\0\0\0\0", Some(UnsupportedFormat::Avif)),
            (b"\0\0\0\x20ftypisom\0\0\0\0", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(UnsupportedFormat::identify(bytes), format);
        }
    }
}
