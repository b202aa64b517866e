//! `POST /v1/recognize` and `/v1/recognize/batch`

use std::{fs, io::Write};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use image::{GrayImage, Luma};
use lenet::image::{Drawing, ImageView};
use serde_json::{Value, json};

use super::{DRAWING_OF_7, FORM, TestServer, encode_png, form, form_of, sample_images};
use crate::lenet;

#[test]
fn returns_the_same_bytes_as_the_library_and_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(&[]);
    let recognizer = server.recognizer();
    let images = sample_images();
    let names: Vec<_> = (0..images.len()).map(|index| format!("{index:02}.png")).collect();
    for (name, image) in names.iter().zip(&images) {
        fs::write(folder.path().join(name), encode_png(image.clone())).unwrap();
    }
    let output = lenet(folder.path()).args(["recognize", "--json"]).args(&names).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    for ((image, name), line) in images.iter().zip(&names).zip(lines.lines()) {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let reading = recognizer.read(&ImageView::new(width, height, image).unwrap());
        let from_library = serde_json::to_string(&reading).unwrap();
        let from_command = line.replacen(&format!("\"path\":\"{name}\","), "", 1);
        assert_eq!(from_library, from_command, "{name}");
        let response = server.request("/v1/recognize", "image/png", Some(&encode_png(image.clone())));
        assert_eq!(from_library.as_bytes(), response.body(), "{name}");
    }
    let drawing: Drawing = serde_json::from_str(DRAWING_OF_7).unwrap();
    let from_library = serde_json::to_vec(&recognizer.read_drawing(&drawing, false)).unwrap();
    let response = server.request("/v1/recognize", "application/json", Some(DRAWING_OF_7.as_bytes()));
    assert_eq!(&from_library, response.body());
}

#[test]
fn recognizes_images_with_any_media_type_and_in_forms() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(15));
    let (status, reading) = server.recognize(&image);
    assert!(status == 200 && reading["digits"].as_array().unwrap().len() > 1, "{reading}");
    assert_eq!(server.post("/v1/recognize", "", &image).1, reading, "without a media type");
    assert_eq!(server.post("/v1/recognize", FORM, &form(&[("a", &image)])).1, reading);
    let (_, single) = server.post("/v1/recognize?single=true", "image/png", &image);
    assert_eq!(single["digits"].as_array().unwrap().len(), 1);

    let blank = encode_png(GrayImage::from_pixel(40, 40, Luma([255])));
    let empty_reading = json!({ "text": "", "probability": null, "alternatives": [], "digits": [], "marks": [], "cells": [], "left_out": [], "remarks": ["blank"] });
    assert_eq!(server.recognize(&blank), (200, empty_reading));
}

#[test]
fn returns_details_under_the_new_and_the_old_parameter() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(15));
    let reading = server.recognize(&image).1;
    let (_, with_details) = server.post("/v1/recognize?details=true", "image/png", &image);
    assert_eq!(server.post("/v1/recognize?explain=true", "image/png", &image).1, with_details);
    assert_eq!(server.post("/v1/recognize?details=false", "image/png", &image).1, reading);
    assert_eq!(with_details["text"], reading["text"]);
    let details = with_details["details"].as_array().unwrap();
    assert_eq!(details.len(), reading["digits"].as_array().unwrap().len());
    for detail in details {
        assert_eq!(detail["tile"].as_array().unwrap().len(), 784);
        let maps = detail["maps"].as_array().unwrap();
        let layers: Vec<_> = maps.iter().map(|maps| maps["layer"].as_str().unwrap()).collect();
        assert_eq!(layers, ["conv1", "conv2"]);
        for maps in maps {
            let shape: [u64; 3] = serde_json::from_value(maps["shape"].clone()).unwrap();
            let levels: Vec<u64> = serde_json::from_value(maps["levels"].clone()).unwrap();
            assert_eq!(levels.len() as u64, shape.iter().product::<u64>());
            assert_eq!((levels.iter().min(), levels.iter().max()), (Some(&0), Some(&255)));
        }
    }
}

#[test]
fn recognizes_drawings_in_their_own_units() {
    let server = TestServer::start(&[]);
    let media_type = "application/json; charset=utf-8";
    let (status, reading) = server.post("/v1/recognize", media_type, DRAWING_OF_7.as_bytes());
    assert_eq!((status, &reading["text"]), (200, &json!("7")));
    let found: Vec<_> = reading["digits"][0]["box"].as_array().unwrap().iter().map(Value::as_i64).collect();
    for (found, expected) in found.iter().zip([10, 10, 30, 50]) {
        assert!(found.unwrap().abs_diff(expected) <= 10, "{reading}");
    }
    let empty_reading = json!({ "text": "", "probability": null, "alternatives": [], "digits": [], "marks": [], "cells": [], "left_out": [], "remarks": ["blank"] });
    assert_eq!(server.post("/v1/recognize", "application/json", br#"{"strokes":[]}"#), (200, empty_reading));
}

#[test]
fn rejects_several_files_and_names_the_batch_route() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(0));
    let (status, response) = server.post("/v1/recognize", FORM, &form(&[("a", &image), ("b", &image)]));
    assert_eq!((status, &response["error"]["code"]), (400, &json!("malformed")));
    let message = "form: expected one file, found 2; send several files to /v1/recognize/batch";
    assert_eq!(response["error"]["message"], message);
}

#[test]
fn batch_returns_a_reading_or_an_error_for_each_file() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(15));
    let blank = encode_png(GrayImage::from_pixel(40, 40, Luma([255])));
    let files: [(&str, &[u8]); 3] = [("a.png", &image), ("b.txt", b"no image"), ("c.png", &blank)];
    let (status, items) = server.post("/v1/recognize/batch", FORM, &form(&files));
    assert_eq!(status, 200);
    assert_eq!(items[0], json!({ "name": "a.png", "reading": server.recognize(&image).1 }));
    assert_eq!((&items[1]["name"], &items[1]["error"]["code"]), (&json!("b.txt"), &json!("not_an_image")));
    assert_eq!(items[2], json!({ "name": "c.png", "reading": server.recognize(&blank).1 }));
}

#[test]
fn returns_the_cells_of_a_table_as_csv() {
    let server = TestServer::start(&[]);
    let table = encode_png(crate::recognize::table());
    let request_with = |query: &str, bytes: &[u8]| {
        let head = format!(
            "POST /v1/cells{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        server.send_raw(&[head.as_bytes(), bytes].concat())
    };
    let request = |bytes: &[u8]| request_with("", bytes);
    let response = request(&table);
    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\n7.2,10\n"), "{response}");
    assert!(response.contains("content-type: text/csv"), "{response}");
    let response = request(&encode_png(GrayImage::from_pixel(40, 40, Luma([255]))));
    assert!(response.starts_with("HTTP/1.1 400 ") && response.contains("expected a table"), "{response}");
    let response = request_with("?min_confidence=1", &table);
    assert!(response.ends_with("\r\n\r\n?.?,??\n"), "{response}");
    let response = request_with("?digits_only=true", &table);
    assert!(
        response.starts_with("HTTP/1.1 400 ") && response.contains("not supported for the cells"),
        "{response}"
    );
    let (_, reading) = server.post("/v1/recognize?digits_only=true", "image/png", &table);
    assert_eq!(reading["text"], "7210");
}

#[test]
fn constraints_and_regions_are_query_parameters() {
    let server = TestServer::start(&[]);
    let table = encode_png(crate::recognize::table());
    let post = |query: &str| server.post(&format!("/v1/recognize?{query}"), "image/png", &table);
    let text = |query: &str| post(query).1["text"].clone();
    assert_eq!(text("region=166,12,80,66"), "10");
    assert_eq!(text("region=166,12,80,66&pattern=1[0-3]&length=2"), "10");
    assert_eq!(text("region=166,12,80,66&length=5"), "??");
    assert_eq!(text("region=166,12,80,66&min_confidence=1"), "??");
    assert_eq!(text("region=166,12,80,66&min_probability=1&charset=01"), "??");
    for (query, message) in [
        ("length=0", "length: expected 1 to 63 digits"),
        ("pattern=x", "pattern: expected `d`"),
        ("checksum=crc", "checksum: expected luhn"),
        ("charset=x", "charset: expected digits"),
        ("checksum=isbn&length=5", "checksum isbn: expected a constraint"),
        ("min_confidence=7", "expected a number from 0 to 1"),
        ("region=0,0,9999,1", "region: expected x, y, width, height within 260 x 90 pixels"),
        ("region=1", "expected x,y,width,height"),
    ] {
        let (status, body) = post(query);
        let found = body["error"]["message"].as_str().unwrap();
        assert!(status == 400 && found.contains(message), "{query}: {status} {found}");
    }
    let drawing = br#"{"strokes": [[[10, 10], [40, 10], [22, 60]]]}"#;
    let (status, body) = server.post("/v1/recognize?region=0,0,9,9", "application/json", drawing);
    let message = "region: expected an image, found a drawing";
    assert_eq!((status, &body["error"]["message"]), (400, &json!(message)));
}

/// Returns what `toDataURL()` of a canvas returns.
fn data_url(image: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(image))
}

#[test]
fn recognizes_data_urls_as_text_in_json_and_in_forms() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(15));
    let expected = (200, server.recognize(&image).1);
    let url = data_url(&image);
    let json = json!({ "image": url }).to_string();
    let escaped = json.replace('/', "\\/");
    let file = form(&[("canvas.txt", url.as_bytes())]);
    for (case, media_type, body) in [
        ("text", "text/plain", url.as_bytes()),
        ("text with an end of line", "text/plain;charset=UTF-8", format!("{url}\r\n").as_bytes()),
        ("no media type", "", url.as_bytes()),
        ("curl --data", "application/x-www-form-urlencoded", url.as_bytes()),
        ("JSON", "application/json", json.as_bytes()),
        ("JSON with escapes", "application/json; charset=utf-8", escaped.as_bytes()),
        ("a file in a form", FORM, &file),
    ] {
        assert_eq!(server.post("/v1/recognize", media_type, body), expected, "{case}");
    }
}

#[test]
fn reads_the_field_image_of_a_form_without_a_file_name() {
    let server = TestServer::start(&[]);
    let image = encode_png(sample_images().swap_remove(15));
    let reading = server.recognize(&image).1;
    let url = data_url(&image);
    for content in [&image[..], url.as_bytes()] {
        let fields: [(&str, &[u8]); 2] = [("name=\"comment\"", b"mine"), ("name=\"image\"", content)];
        let form = form_of(fields);
        assert_eq!(server.post("/v1/recognize", FORM, &form), (200, reading.clone()));
        let items = json!([{ "name": "image", "reading": reading }]);
        assert_eq!(server.post("/v1/recognize/batch", FORM, &form), (200, items));
    }
    let malformed =
        form_of([("name=\"image\"", &b"data:image/png;base64,!"[..]), ("name=\"image\"", &image)]);
    let (_, items) = server.post("/v1/recognize/batch", FORM, &malformed);
    assert_eq!((&items[0]["error"]["code"], &items[1]["reading"]), (&json!("malformed"), &reading));
}

#[test]
fn decompresses_gzip_bodies_up_to_the_limit_of_bodies() {
    let server = TestServer::start(&["--max-body-mb", "1"]);
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let image = encode_png(sample_images().swap_remove(15));
    let text = server.recognize(&image).1["text"].to_string();
    let compressed = gzip(&image);
    for (encoding, body) in [("gzip", &compressed), ("X-GZIP", &compressed), ("identity", &image)] {
        let header = format!("Content-Encoding: {encoding}");
        let (status, response) = server.post_with_header("/v1/recognize", &header, body);
        assert!(status == 200 && response.contains(&format!("\"text\":{text}")), "{encoding}: {response}");
    }
    let json = gzip(json!({ "image": data_url(&image) }).to_string().as_bytes());
    let header = "Content-Encoding: gzip\r\nContent-Type: application/json";
    assert_eq!(server.post_with_header("/v1/recognize", header, &json).0, 200);

    let (longest, too_long) = (gzip(&[0; 1_000_000]), gzip(&[0; 1_000_001]));
    for (encoding, body, status, message) in [
        ("gzip", &longest[..], 415, "format: expected PNG"),
        ("gzip", &too_long, 413, "body: expected at most 1000000 bytes, found more"),
        ("gzip", &image, 400, "body: expected gzip, as its Content-Encoding says"),
        ("gzip", &compressed[..compressed.len() / 2], 400, "body: expected gzip"),
        ("br", &image, 415, "Content-Encoding: expected gzip, found"),
        ("gzip, gzip", &compressed, 415, "Content-Encoding: expected gzip, found"),
    ] {
        let header = format!("Content-Encoding: {encoding}");
        let (found, response) = server.post_with_header("/v1/recognize", &header, body);
        assert!(found == status && response.contains(message), "{encoding}: {response}");
        assert_eq!(
            response.contains("\r\naccept-encoding: gzip\r\n"),
            response.contains("unsupported_encoding")
        );
    }
    // All permits are returned, or the last of these requests would get status 503.
    for _ in 0..40 {
        assert_eq!(server.post_with_header("/v1/recognize", "Content-Encoding: gzip", &longest).0, 415);
    }
}
