//! Images in `data:` URLs, such as `data:image/png;base64,...`, which `toDataURL()` of a canvas returns (RFC 2397).

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD_PAD_INDIFFERENT};

/// The scheme, in lower case.
const SCHEME: &[u8] = b"data:";
/// Bytes of a URL that an error shows, at most.
const SHOWN_BYTES: usize = 60;

/// Errors of [`decode`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The text does not begin with the scheme.
    #[error("data URL: expected data:image/png;base64,... or another image type, found {0:?}")]
    NoScheme(String),
    /// No comma separates the media type from the data.
    #[error(
        "data URL: expected a comma before the data, as in data:image/png;base64,..., found none in {0:?}"
    )]
    NoComma(String),
    /// The data are not in Base64.
    #[error("data URL: expected ;base64 before the comma, found {0:?}")]
    NotBase64(String),
    /// The media type is not that of an image.
    #[error("data URL: expected an image, as in data:image/png;base64,..., found {0:?}")]
    NotAnImage(String),
    /// The data are malformed Base64.
    #[error("data URL: expected Base64 after the comma, found an error")]
    Malformed(#[from] DecodeError),
}

/// Returns whether a text begins as a `data:` URL, which no image file does.
pub fn is_data_url(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

/// Returns the bytes of the image in a `data:` URL. White space around the URL is ignored.
///
/// # Errors
/// If the text is no `data:` URL, its media type is that of something else than an image, or its data are not in Base64.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Error> {
    let text = text.trim_ascii();
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned();
    if !is_data_url(text) {
        return Err(Error::NoScheme(shown(text)));
    }
    let Some(comma) = text.iter().position(|&byte| byte == b',') else {
        return Err(Error::NoComma(shown(text)));
    };
    let (header, data) = (text[SCHEME.len()..comma].to_ascii_lowercase(), &text[comma + 1..]);
    let Some(media_type) = header.strip_suffix(b";base64") else {
        return Err(Error::NotBase64(shown(&text[..comma])));
    };
    // A file whose type the client doesn't know may be an image.
    let may_be_image = ["image/", "application/octet-stream"];
    if !media_type.is_empty() && !may_be_image.iter().any(|prefix| media_type.starts_with(prefix.as_bytes()))
    {
        return Err(Error::NotAnImage(shown(media_type)));
    }
    Ok(STANDARD_PAD_INDIFFERENT.decode(data)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_images_of_any_type_with_or_without_padding() {
        for url in [
            "data:image/png;base64,UDU=",
            "data:image/png;base64,UDU",
            "  DATA:image/x-portable-graymap;Base64,UDU=\r\n",
            "data:image/svg+xml;charset=utf-8;base64,UDU=",
            "data:application/octet-stream;base64,UDU=",
            "data:;base64,UDU=",
        ] {
            assert!(is_data_url(url.as_bytes()), "{url}");
            assert_eq!(decode(url.as_bytes()), Ok(b"P5".to_vec()), "{url}");
        }
        assert!(!is_data_url(b"data") && !is_data_url(b"\x89PNG") && !is_data_url(b""));
    }

    #[test]
    fn error_says_what_is_wrong_with_a_data_url() {
        for (url, message) in [
            ("UDU=", "expected data:image/png;base64,... or another image type, found \"UDU=\""),
            ("data:image/png;base64", "expected a comma before the data"),
            ("data:image/png,%89PNG", "expected ;base64 before the comma, found \"data:image/png\""),
            (
                "data:text/plain;base64,UDU=",
                "expected an image, as in data:image/png;base64,..., found \"text/plain\"",
            ),
            ("data:image/png;base64,UD!U", "expected Base64 after the comma"),
        ] {
            let error = decode(url.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let long = format!("data:{}", "x".repeat(1 << 20));
        assert!(decode(long.as_bytes()).unwrap_err().to_string().len() < 200);
    }
}
