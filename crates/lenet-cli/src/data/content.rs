//! What a file is that is no dataset, so that errors can say it.

use image::ImageFormat;

use crate::decode::UnsupportedFormat;

/// The first bytes of a ZIP archive that is not empty.
pub const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// Describes a file that is neither IDX nor CSV by its first bytes, or returns `None` if it may be either.
pub fn describe_foreign(bytes: &[u8]) -> Option<String> {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    let is_web_page = ["<!doctype html", "<html", "<head", "<?xml"].iter().any(|start| {
        text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start.as_bytes()))
    });
    Some(match UnsupportedFormat::identify(bytes) {
        Some(format) => format!("a document or photo: {format}"),
        None if bytes.is_empty() => "an empty file".to_owned(),
        None if is_web_page => {
            "a web page, which servers send instead of a file: download it again".to_owned()
        }
        None if bytes.starts_with(&ZIP_MAGIC) => "a ZIP archive: unpack it first".to_owned(),
        None => match image::guess_format(bytes).ok()? {
            ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::Gif
            | ImageFormat::Tiff
            | ImageFormat::WebP => {
                "a picture: put pictures in a folder with a subfolder for each digit".to_owned()
            }
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_what_is_neither_idx_nor_csv() {
        for (bytes, start) in [
            (&b""[..], "an empty file"),
            (b"\n <!DOCTYPE html><html>", "a web page"),
            (b"<HTML><head>", "a web page"),
            (b"%PDF-1.7\n", "a document or photo: PDF is not supported"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a document or photo: HEIC is not supported"),
            (b"\0\0\0\x20ftypavif\0\0\0\0", "a document or photo: AVIF is not supported"),
            (b"PK\x03\x04\x14\0", "a ZIP archive"),
            (b"\x89PNG\r\n\x1a\n", "a picture"),
        ] {
            let found = describe_foreign(bytes);
            assert!(found.as_ref().is_some_and(|found| found.starts_with(start)), "{start}: {found:?}");
        }
        for bytes in [&b"\0\0\x08\x03\0\0"[..], b"label,pixel0", b"5,0,0", b"garbage"] {
            assert_eq!(describe_foreign(bytes), None);
        }
    }
}
