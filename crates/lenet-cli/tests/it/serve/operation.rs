//! What an operator of the server sees: files, metrics, the log, and errors at the start.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
};

use lenet::{pretrained, weights};

use super::{TestServer, encode_png, sample_images};
use crate::{error, lenet};

#[test]
fn serves_the_page_with_security_headers() {
    let server = TestServer::start(&[]);
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/offline.js", "text/javascript; charset=utf-8"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/icon.svg", "image/svg+xml"),
        ("/openapi.json", "application/json"),
    ] {
        let response = server.request(path, "", None);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &media_type.parse().unwrap())
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; ") && !policy.contains("unsafe-inline"), "{policy}");
    }
}

#[test]
fn serves_its_weights_under_the_new_and_the_old_path() {
    for option in ["--weights", "--model"] {
        let server = TestServer::start(&[option, "lenet5"]);
        let file = server.get("/weights.safetensors");
        assert_eq!(server.get("/network.safetensors"), file);
        let (network, _) = weights::from_bytes(&file).unwrap();
        assert_eq!(network.parameters(), pretrained::lenet5().0.parameters());
    }
}

#[test]
fn counts_requests_readings_and_digits() {
    let server = TestServer::start(&["--weights", "lenet5"]);
    let (_, reading) = server.recognize(&encode_png(sample_images().swap_remove(0)));
    let digits = reading["digits"].as_array().unwrap();
    let rejected = digits.iter().filter(|digit| digit["rejected"] == true).count();
    server.recognize(b"garbage");
    server.recognize(b"");
    let metrics = String::from_utf8(server.get("/metrics")).unwrap();
    for line in [
        "lenet_http_requests_total{route=\"/v1/recognize\",status=\"200\"} 1\n",
        "lenet_http_requests_total{route=\"/v1/recognize\",status=\"415\"} 2\n",
        "lenet_http_request_duration_seconds_count{route=\"/v1/recognize\"} 3\n",
        "lenet_readings_total 1\n",
        &format!("lenet_digits_total{{result=\"accepted\"}} {}\n", digits.len() - rejected),
        &format!("lenet_digits_total{{result=\"rejected\"}} {rejected}\n"),
        "# EOF\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

#[test]
fn logs_each_request() {
    let mut server = TestServer::start_with_log(&[]);
    let mut lines = BufReader::new(server.process.stderr.take().unwrap()).lines();
    server.recognize(b"garbage");
    server.is_healthy();
    for expected in
        ["method=POST path=\"/v1/recognize\" status=415", "method=GET path=\"/healthz\" status=200"]
    {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(expected) && line.contains(" client=127.0.0.1:"), "{line}");
    }
}

#[test]
fn fails_if_the_port_is_taken_or_the_weights_are_missing() {
    let server = TestServer::start(&[]);
    let port = server.address.rsplit(':').next().unwrap();
    let mut command = lenet(Path::new("."));
    command = command.args(["serve", "--port", port]);
    assert!(error(command).starts_with(&format!("127.0.0.1:{port}: could not listen: ")));
    let command = lenet(Path::new(".")).args(["serve", "--weights", "missing.safetensors"]);
    assert!(error(command).starts_with("missing.safetensors: could not be read: "));
}

#[test]
fn accepts_old_option_names() {
    let old = ["--megabytes=1", "--megapixels=2", "--connections=3", "--queue=4", "--model=lenet5"];
    let new = [
        "--max-body-mb=1",
        "--max-megapixels=2",
        "--max-connections=3",
        "--queue-depth=4",
        "--weights=lenet5",
    ];
    for options in [old, new] {
        assert!(TestServer::start(&options).is_healthy());
    }
    let help = lenet(Path::new(".")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for (old, new) in old.iter().zip(new) {
        let name = |option: &str| format!("{} ", option.split('=').next().unwrap());
        assert!(help.contains(&name(new)) && !help.contains(&name(old)), "{old} {new} {help}");
    }
}

#[test]
fn lets_pages_of_allowed_origins_use_the_api() {
    let preflight = |server: &TestServer, origin: &str| {
        server.send_raw(
            format!(
                "OPTIONS /v1/recognize HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: {origin}\r\n\
                 Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
            )
            .as_bytes(),
        )
    };
    let post = |server: &TestServer, origin: &str| {
        server.post_with_header("/v1/recognize", &format!("Origin: {origin}"), b"garbage").1
    };
    let allows = |response: &str, origin: &str| {
        response.contains(&format!("\r\naccess-control-allow-origin: {origin}\r\n"))
    };
    let server = TestServer::start(&[
        "--allow-origin",
        "https://a.example",
        "--allow-origin",
        "http://b.example:3000/",
    ]);
    for origin in ["https://a.example", "http://b.example:3000"] {
        let response = preflight(&server, origin);
        assert!(response.starts_with("HTTP/1.1 200 ") && allows(&response, origin), "{response}");
        assert!(response.contains("access-control-allow-methods: GET,POST\r\n"), "{response}");
        assert!(
            response.contains("access-control-allow-headers: content-type,content-encoding\r\n"),
            "{response}"
        );
        let response = post(&server, origin);
        assert!(response.starts_with("HTTP/1.1 415 ") && allows(&response, origin), "{response}");
    }
    for response in [preflight(&server, "https://c.example"), post(&server, "https://c.example")] {
        assert!(!response.contains("access-control-allow-origin"), "{response}");
    }
    let server = TestServer::start(&["--allow-origin", "*"]);
    for response in [preflight(&server, "null"), post(&server, "null")] {
        assert!(allows(&response, "*"), "{response}");
    }
    let server = TestServer::start(&[]);
    let response = preflight(&server, "https://a.example");
    assert!(response.starts_with("HTTP/1.1 405 ") && !response.contains("access-control"), "{response}");
    assert!(!post(&server, "https://a.example").contains("access-control"));
}

#[test]
fn listens_on_host_names_and_addresses_of_either_version() {
    for host in ["localhost", "127.0.0.1", "[::1]", "::1"] {
        if host.contains(':') && TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let server = TestServer::start(&["--host", host]);
        assert!(server.is_healthy(), "{host}");
    }
    for host in ["unknown.invalid", "not a host", ""] {
        let message = error(lenet(Path::new(".")).args(["serve", "--host", host]));
        let expected = format!("--host {host}: expected an IP address or a known host name: ");
        assert!(message.starts_with(&expected), "{message}");
    }
}
