//! Status, code and message of failed requests.

use image::GrayImage;
use serde_json::json;

use super::{FORM, TestServer, encode_png, form, sample_images};

#[test]
fn reports_status_code_and_cause() {
    let server = TestServer::start(&["--max-body-mb", "1", "--max-megapixels", "2"]);
    let image = encode_png(sample_images().swap_remove(0));
    // A header of 54 bytes that declares 50,000 x 50,000 pixels.
    let mut huge_bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    huge_bmp.extend([50_000_u32.to_le_bytes(), 50_000_u32.to_le_bytes()].concat());
    huge_bmp.extend(b"\x01\0\x18\0");
    huge_bmp.resize(54, 0);
    // Four million pixels in four thousand bytes.
    let flat_png = encode_png(GrayImage::new(2000, 2000));
    let long_body = vec![b'x'; 1_000_001];
    let many_points = format!("{{\"strokes\": [[{}[1, 1]]]}}", "[1, 1], ".repeat(10_000));
    let long_drawing = format!("{{\"strokes\": [[{}[1, 1]]]}}", "[1, 1], ".repeat(200_000));
    let too_many_files = form(&vec![("a", &b"x"[..]); 257]);
    let (recognize, batch, json) = ("/v1/recognize", "/v1/recognize/batch", "application/json");
    for (path, media_type, body, status, code, message) in [
        (recognize, "image/png", &b""[..], 415, "not_an_image", "format: expected PNG, "),
        (recognize, "image/png", b"garbage", 415, "not_an_image", "format: expected PNG, "),
        (recognize, "image/png", &image[..image.len() / 2], 400, "malformed", ""),
        (recognize, "image/png", b"P5 0 0 255\n", 400, "malformed", ""),
        (recognize, "image/bmp", &huge_bmp, 413, "too_large", "at most 2 megapixels, found 50000"),
        (recognize, "image/png", &flat_png, 413, "too_large", "at most 2 megapixels, found 2000"),
        (recognize, "image/png", &long_body, 413, "too_large", "body: expected at most 1000000 bytes"),
        (recognize, json, b"{", 400, "malformed", "EOF"),
        (recognize, json, b"{\"strokes\": [[[1]]]}", 400, "malformed", "invalid length 1"),
        (recognize, json, b"{\"lines\": []}", 400, "malformed", "unknown field `lines`"),
        (recognize, json, b"{\"strokes\": [[[1, -1]]]}", 400, "malformed", "coordinates: expected"),
        (recognize, json, many_points.as_bytes(), 400, "malformed", "points: expected at most 10000"),
        (recognize, json, long_drawing.as_bytes(), 413, "too_large", "body: "),
        ("/v1/recognize?details=maybe", "image/png", &image, 400, "malformed", "Failed to deserialize query"),
        ("/v1/recognize?detials=true", "image/png", &image, 400, "malformed", "Failed to deserialize query"),
        (recognize, "multipart/form-data", b"", 400, "malformed", "Invalid `boundary`"),
        (
            recognize,
            FORM,
            b"--B--\r\n",
            400,
            "malformed",
            "form: expected a file or a field `image`, found neither",
        ),
        (recognize, "text/plain", b"data:image/png;base64", 400, "malformed", "expected a comma"),
        (recognize, "text/plain", b"data:image/png,x", 400, "malformed", "expected ;base64 before the comma"),
        (recognize, "text/plain", b"data:text/html;base64,eA==", 400, "malformed", "expected an image"),
        (recognize, "text/plain", b"data:image/png;base64,x!", 400, "malformed", "expected Base64"),
        (
            recognize,
            "text/plain",
            b"data:image/png;base64,eA==",
            415,
            "not_an_image",
            "format: expected PNG, ",
        ),
        (recognize, json, b"{\"image\": \"x\"}", 400, "malformed", "data URL: expected data:image/png"),
        (recognize, json, b"{\"image\": 1}", 400, "malformed", "expected a string"),
        (recognize, json, b"{\"image\": \"\", \"strokes\": []}", 400, "malformed", "found both"),
        (recognize, json, b"{}", 400, "malformed", "expected one of `strokes` and `image`, found neither"),
        (batch, FORM, b"--B\r\nContent-Disp", 400, "malformed", ""),
        (batch, FORM, &too_many_files, 413, "too_large", "form: expected at most 256 files"),
        (batch, "image/png", &image, 400, "malformed", "Invalid `boundary`"),
        ("/v1/recognize/batch?details=true", FORM, &form(&[]), 400, "malformed", "details: only supported"),
        ("/v1/recognize/batch?explain=true", FORM, &form(&[]), 400, "malformed", "details: only supported"),
        ("/healthz", "", b"", 405, "method_not_allowed", "header Allow"),
        ("/v1", "", b"", 404, "not_found", "/openapi.json"),
    ] {
        let (found, response) = server.post(path, media_type, body);
        assert_eq!(
            (found, &response["error"]["code"]),
            (status, &json!(code)),
            "{path} {media_type} {response}"
        );
        let found = response["error"]["message"].as_str().unwrap();
        assert!(found.contains(message), "{found:?} lacks {message:?}");
    }
    assert_eq!(server.recognize(&image).0, 200);
}

#[test]
fn rejects_malformed_http() {
    let server = TestServer::start(&["--timeout", "2"]);
    let status = |response: &str| response.get(9..12).unwrap_or_default().to_owned();
    let post = "POST /v1/recognize HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let many_headers: String = (0..200).map(|index| format!("x-{index}: y\r\n")).collect();
    for (case, request, expected) in [
        ("a TLS handshake", "\x16\x03\x01 garbage\r\n\r\n".to_owned(), "400"),
        ("200 headers", format!("{post}{many_headers}\r\n"), "431"),
        ("a long header", format!("{post}x: {}\r\n\r\n", "y".repeat(100_000)), "431"),
        ("a long path", get(&"/y".repeat(50_000)), "431"),
        ("a negative length", format!("{post}Content-Length: -5\r\n\r\n"), "400"),
        ("two lengths", format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"), "400"),
        ("a length above all limits", format!("{post}Content-Length: 99999999999\r\n\r\n"), "413"),
        ("a malformed chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "400"),
        ("a path to a parent folder", get("/../../../etc/passwd"), "404"),
        ("an escaped path to a parent folder", get("/%2e%2e/%2e%2e/etc/passwd"), "404"),
        ("a URL of another host", get("http://example.com/x"), "404"),
        ("a body shorter than its length", format!("{post}Content-Length: 500\r\n\r\nabc"), "408"),
        ("an incomplete header", "GET / HTTP/1.1\r\nHos".to_owned(), ""),
    ] {
        let response = server.send_raw(request.as_bytes());
        assert_eq!(status(&response), expected, "{case}: {response}");
    }
    assert!(server.is_healthy());
}
