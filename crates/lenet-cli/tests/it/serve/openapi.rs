//! `openapi.json` describes exactly what the server does. (That it lists all routes is a unit test of the router.)

use std::collections::{BTreeMap, BTreeSet};

use image::{DynamicImage, GrayImage, Luma};
use serde_json::Value;

use super::{BODY_MEMORY_OPTIONS, DRAWING_OF_7, FORM, TestServer, encode_png, form, sample_images};
use crate::recognize::tiff_of;

/// Checks JSON values against the schemas of an OpenAPI description.
struct SchemaChecker<'a> {
    openapi: &'a Value,
    /// JSON pointers of the properties and enum values that have occurred in a checked value.
    seen: BTreeSet<String>,
}

impl<'a> SchemaChecker<'a> {
    /// Checks a value against the schema at a JSON pointer.
    fn check(&mut self, pointer: &str, value: &Value) {
        let openapi: &'a Value = self.openapi;
        let schema = openapi.pointer(pointer).expect(pointer);
        if let Some(reference) = schema["$ref"].as_str() {
            return self.check(reference.trim_start_matches('#'), value);
        }
        // A type, or a list of it and `null`.
        let types = &schema["type"];
        if value.is_null() && types[1] == "null" {
            return;
        }
        match types.as_str().or(types[0].as_str()).expect(pointer) {
            "object" => {
                let object = value.as_object().expect(pointer);
                for key in schema["required"].as_array().into_iter().flatten() {
                    assert!(object.contains_key(key.as_str().unwrap()), "{pointer}: {key} is missing");
                }
                for (key, value) in object {
                    let property = format!("{pointer}/properties/{key}");
                    assert!(schema["properties"][key].is_object(), "{property} is not described");
                    self.check(&property, value);
                    self.seen.insert(property);
                }
            }
            "array" => {
                let items = value.as_array().expect(pointer);
                let bound = |name: &str, default| schema[name].as_u64().unwrap_or(default);
                assert!((bound("minItems", 0)..=bound("maxItems", u64::MAX)).contains(&(items.len() as u64)));
                items.iter().for_each(|item| self.check(&format!("{pointer}/items"), item));
            }
            "string" => {
                let string = value.as_str().expect(pointer);
                if let Some(variants) = schema["enum"].as_array() {
                    assert!(variants.contains(value), "{pointer}: {value} is not described");
                    self.seen.insert(format!("{pointer}/enum/{string}"));
                }
            }
            "integer" => assert!(value.is_i64(), "{pointer}: {value}"),
            "number" => assert!(value.is_number(), "{pointer}: {value}"),
            "boolean" => assert!(value.is_boolean(), "{pointer}: {value}"),
            other => panic!("{pointer}: type {other} is not supported by this test"),
        }
    }
}

/// Returns the names in backquotes of a message such as "unknown field `x`, expected `y` or `z`" after the first one.
fn expected_names(response: &Value) -> BTreeSet<String> {
    let message = response["error"]["message"].as_str().unwrap();
    message.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Sends requests that succeed and fail in every way that a client can provoke. Returns path, status and body of each response.
fn all_responses() -> Vec<(&'static str, u16, Value)> {
    let [single, several] = [0, 15].map(|index| encode_png(sample_images().swap_remove(index)));
    let blank = encode_png(GrayImage::from_pixel(40, 40, Luma([255])));
    let long_body = vec![b'x'; 1_000_001];
    // A stroke, and a rule that is left out.
    let page = GrayImage::from_fn(200, 100, |x, y| {
        let ink =
            (90..96).contains(&x) && (20..70).contains(&y) || (10..190).contains(&x) && (85..88).contains(&y);
        Luma([if ink { 0 } else { 255 }])
    });
    let page = DynamicImage::from(page);
    let pages = tiff_of(&[page.clone(), page]);
    let files: [(&str, &[u8]); 3] = [("a", &several), ("b", b"garbage"), ("c", &pages)];
    let (recognize, batch) = ("/v1/recognize", "/v1/recognize/batch");
    let mut responses = Vec::new();

    let server = TestServer::start(&BODY_MEMORY_OPTIONS);
    for (path, query, media_type, body) in [
        (recognize, "", "image/png", &several[..]),
        (recognize, "?details=true", "image/png", &single),
        (recognize, "?explain=true&single=true", "image/png", &blank),
        (recognize, "", "application/json", DRAWING_OF_7.as_bytes()),
        (recognize, "", "image/png", &encode_png(crate::recognize::table())),
        (recognize, "?length=9", "image/png", &encode_png(crate::recognize::table())),
        (recognize, "", "application/json", b"{"),
        (recognize, "", "image/png", &long_body),
        (recognize, "", "image/png", b"garbage"),
        (batch, "?single=false", FORM, &form(&files)),
        (batch, "", "image/png", &single),
        (batch, "", FORM, &long_body),
    ] {
        let (status, body) = server.post(&format!("{path}{query}"), media_type, body);
        responses.push((path, status, body));
    }

    // Status 408 by a body that never ends, and 503 by bodies that use up the memory.
    let impatient_server = TestServer::start(&["--timeout", "1"]);
    let head = |path| format!("POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Type: {FORM}\r\n");
    let parse = |path, response: String| {
        let body = response.split_once("\r\n\r\n").expect(&response).1;
        (path, response[9..12].parse().unwrap(), serde_json::from_str(body).expect(body))
    };
    for path in [recognize, batch] {
        let request = format!("{}Content-Length: 9\r\n\r\n", head(path));
        responses.push(parse(path, impatient_server.send_raw(request.as_bytes())));
    }
    for path in [recognize, batch] {
        let request = format!("{}Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", head(path));
        responses.push(parse(path, server.send_raw(request.as_bytes())));
    }
    let _streams = server.use_up_body_memory();
    for path in [recognize, batch] {
        let request = format!("{}Content-Length: 100\r\n\r\n{}", head(path), "x".repeat(100));
        responses.push(parse(path, server.send_raw(request.as_bytes())));
    }
    responses
}

#[test]
fn openapi_describes_all_methods() {
    let server = TestServer::start(&[]);
    let openapi: Value = serde_json::from_slice(&server.get("/openapi.json")).unwrap();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        let response = server
            .send_raw(format!("PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(response.starts_with("HTTP/1.1 405 "), "{path}: {response}");
        let allowed = response.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap();
        // HTTP requires HEAD wherever there is GET.
        let allowed: Vec<_> = allowed.split(',').filter(|method| *method != "HEAD").collect();
        let described: Vec<_> = methods.as_object().unwrap().keys().map(|key| key.to_uppercase()).collect();
        assert_eq!(described, allowed, "{path}");
    }
}

#[test]
fn openapi_describes_all_parameters_and_json_bodies() {
    let server = TestServer::start(&[]);
    let openapi: Value = serde_json::from_slice(&server.get("/openapi.json")).unwrap();
    let (_, response) = server.post("/v1/recognize?unknown=1", "image/png", b"");
    let parameters = openapi["components"]["parameters"].as_object().unwrap();
    assert_eq!(expected_names(&response), parameters.keys().cloned().collect());
    for (key, parameter) in parameters {
        assert_eq!(parameter["name"], key[..]);
        let reference = format!("#/components/parameters/{key}");
        let listed = openapi["paths"]["/v1/recognize"]["post"]["parameters"].as_array().unwrap();
        assert!(listed.iter().any(|parameter| parameter["$ref"] == reference[..]), "{key}");
    }
    let (_, response) = server.post("/v1/recognize", "application/json", br#"{"unknown": 1}"#);
    let properties = |schema: &str| {
        let properties = openapi["components"]["schemas"][schema]["properties"].as_object().unwrap();
        properties.keys().cloned().collect::<Vec<_>>()
    };
    let described = ["Drawing", "DataUrl"].into_iter().flat_map(properties);
    assert_eq!(expected_names(&response), described.collect());
}

#[test]
fn openapi_describes_all_responses() {
    let server = TestServer::start(&[]);
    let openapi: Value = serde_json::from_slice(&server.get("/openapi.json")).unwrap();
    let mut checker = SchemaChecker { openapi: &openapi, seen: BTreeSet::new() };
    let mut statuses = BTreeMap::<&str, BTreeSet<String>>::new();
    for (path, status, body) in all_responses() {
        let mut pointer = format!("/paths/{}/post/responses/{status}", path.replace('/', "~1"));
        let response = openapi.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is not described"));
        if let Some(reference) = response["$ref"].as_str() {
            pointer = reference.trim_start_matches('#').to_owned();
        }
        checker.check(&format!("{pointer}/content/application~1json/schema"), &body);
        statuses.entry(path).or_default().insert(status.to_string());
    }
    for (path, mut seen) in statuses {
        let described = openapi["paths"][path]["post"]["responses"].as_object().unwrap();
        if described.contains_key("500") {
            // A defect of the server, which no request is known to provoke.
            seen.insert("500".into());
        }
        assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), seen, "{path}");
    }
    for (name, schema) in openapi["components"]["schemas"].as_object().unwrap() {
        let is_request = ["DataUrl", "Drawing", "ImageForm"].contains(&name.as_str());
        for key in schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
            let pointer = format!("/components/schemas/{name}/properties/{key}");
            assert!(is_request || checker.seen.contains(&pointer), "{pointer} was in no response");
        }
    }
}

#[test]
fn openapi_and_the_page_know_all_remark_codes() {
    use lenet::recognize::{DigitRemark, ReadingRemark};
    let server = TestServer::start(&[]);
    let openapi: Value = serde_json::from_slice(&server.get("/openapi.json")).unwrap();
    let page = String::from_utf8(server.get("/reading.js")).unwrap();
    for (schema, codes) in [
        ("ReadingRemark", ReadingRemark::ALL.map(|remark| remark.code()).to_vec()),
        ("DigitRemark", DigitRemark::ALL.map(|remark| remark.code()).to_vec()),
    ] {
        assert_eq!(openapi["components"]["schemas"][schema]["enum"], serde_json::json!(codes));
        for code in codes {
            assert!(page.contains(&format!("  {code}: '")), "reading.js has no words for {code}");
        }
    }
}
