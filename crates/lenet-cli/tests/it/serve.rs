//! `lenet serve`

use std::{
    fs,
    io::{BufRead, BufReader, Cursor, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use lenet::{
    image::{Drawing, ImageView},
    pretrained,
    recognize::Recognizer,
    weights,
};
use serde_json::{Value, json};
use snapbox::cmd::cargo_bin;

use crate::{lenet, suite};

/// A server, which ends with the test.
pub struct Server {
    process: Child,
    /// Where it listens, such as `127.0.0.1:40001`.
    pub address: String,
}

impl Server {
    /// One that writes no lines about requests.
    pub fn start(arguments: &[&str]) -> Self {
        Self::with_log(&[&["--quiet"], arguments].concat())
    }

    fn with_log(arguments: &[&str]) -> Self {
        let mut lenet = Command::new(cargo_bin!("lenet"));
        lenet.args(["serve", "--port", "0"]).args(arguments).stderr(Stdio::piped());
        let mut process = lenet.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { process, address }
    }

    /// Status, headers and body of an answer.
    pub fn ask(&self, path: &str, media_type: &str, body: Option<&[u8]>) -> ureq::http::Response<Vec<u8>> {
        let agent: ureq::Agent = ureq::config::Config::builder().http_status_as_error(false).build().into();
        let url = format!("http://{}{path}", self.address);
        let answer = match body {
            Some(body) => agent.post(url).header("Content-Type", media_type).send(body),
            None => agent.get(url).call(),
        };
        answer.unwrap().map(|mut body| body.with_config().limit(1 << 30).read_to_vec().unwrap())
    }

    fn post(&self, path: &str, media_type: &str, body: &[u8]) -> (u16, Value) {
        let answer = self.ask(path, media_type, Some(body));
        assert_eq!(answer.headers()["content-type"], "application/json");
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    fn recognize(&self, picture: &[u8]) -> (u16, Value) {
        self.post("/v1/recognize", "image/png", picture)
    }

    fn healthy(&self) -> bool {
        self.ask("/healthz", "", None).body() == b"ok\n"
    }

    /// All that comes back when these bytes are sent.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A server that has heard enough closes the connection.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What reads as it does.
    pub fn recognizer(&self) -> Recognizer {
        let network = self.ask("/network.safetensors", "", None).into_body();
        Recognizer::new(weights::from_bytes(&network).unwrap().0)
    }

    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Bytes of memory that it holds.
    #[cfg(target_os = "linux")]
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Twenty pictures of one digit or several.
pub fn pictures() -> Vec<GrayImage> {
    let data = lenet_mnist::train().slice(0..1000);
    let canvases = suite::singles(&data, 10, 1).chain(suite::strings(&data, 10, 2));
    let grey = |canvas: suite::Canvas| {
        GrayImage::from_raw(canvas.width as u32, canvas.height as u32, canvas.bytes()).unwrap()
    };
    canvases.map(|(canvas, _)| grey(canvas)).collect()
}

pub fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// Strokes of a 7.
pub const SEVEN: &str = r#"{"strokes": [[[10, 10], [40, 10], [22, 60]]]}"#;

/// A form with files in the fields of these names.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    body
}
const FORM: &str = "multipart/form-data; boundary=B";

#[test]
fn library_program_and_server_give_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let recognizer = server.recognizer();
    let pictures = pictures();
    let names: Vec<_> = (0..pictures.len()).map(|index| format!("{index:02}.png")).collect();
    for (name, picture) in names.iter().zip(&pictures) {
        fs::write(folder.path().join(name), png(picture.clone())).unwrap();
    }
    let output = lenet(folder.path()).args(["recognize", "--json"]).args(&names).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    for ((picture, name), line) in pictures.iter().zip(&names).zip(lines.lines()) {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let reading = recognizer.read(&ImageView::new(width, height, picture).unwrap());
        let library = serde_json::to_string(&reading).unwrap();
        let program = line.replacen(&format!("\"path\":\"{name}\","), "", 1);
        assert_eq!(library, program, "{name}");
        let answer = server.ask("/v1/recognize", "image/png", Some(&png(picture.clone())));
        assert_eq!(library.as_bytes(), answer.body(), "{name}");
    }
    let drawing: Drawing = serde_json::from_str(SEVEN).unwrap();
    let library = serde_json::to_vec(&recognizer.read_drawing(&drawing, false)).unwrap();
    let answer = server.ask("/v1/recognize", "application/json", Some(SEVEN.as_bytes()));
    assert_eq!(&library, answer.body());
}

#[test]
fn pictures_forms_and_drawings_are_read() {
    let server = Server::start(&[]);
    let picture = png(pictures().swap_remove(15));
    let (status, reading) = server.recognize(&picture);
    assert!(status == 200 && reading["digits"].as_array().unwrap().len() > 1, "{reading}");
    assert_eq!(server.post("/v1/recognize", "", &picture).1, reading, "whatever it is said to be");
    assert_eq!(server.post("/v1/recognize", FORM, &form(&[("a", &picture)])).1, reading);
    let (_, single) = server.post("/v1/recognize?single=true", "image/png", &picture);
    assert_eq!(single["digits"].as_array().unwrap().len(), 1);

    let (_, explained) = server.post("/v1/recognize?explain=true", "image/png", &picture);
    assert_eq!(explained["text"], reading["text"]);
    let details = explained["details"].as_array().unwrap();
    assert_eq!(details.len(), reading["digits"].as_array().unwrap().len());
    for detail in details {
        assert_eq!(detail["tile"].as_array().unwrap().len(), 784);
        let maps = detail["maps"].as_array().unwrap();
        let names: Vec<_> = maps.iter().map(|maps| maps["layer"].as_str().unwrap()).collect();
        assert_eq!(names, ["conv1", "conv2"]);
        for maps in maps {
            let shape: [u64; 3] = serde_json::from_value(maps["shape"].clone()).unwrap();
            let levels: Vec<u64> = serde_json::from_value(maps["levels"].clone()).unwrap();
            assert_eq!(levels.len() as u64, shape.iter().product::<u64>());
            assert_eq!((levels.iter().min(), levels.iter().max()), (Some(&0), Some(&255)));
        }
    }

    let (status, seven) = server.post("/v1/recognize", "application/json; charset=utf-8", SEVEN.as_bytes());
    assert_eq!((status, &seven["text"]), (200, &json!("7")));
    let bounds: Vec<_> = seven["digits"][0]["box"].as_array().unwrap().iter().map(Value::as_i64).collect();
    for (found, expected) in bounds.iter().zip([10, 10, 30, 50]) {
        assert!(found.unwrap().abs_diff(expected) <= 10, "{seven}");
    }

    let blank = png(GrayImage::from_pixel(40, 40, Luma([255])));
    let nothing = json!({ "text": "", "digits": [], "remarks": ["blank"] });
    assert_eq!(server.recognize(&blank), (200, nothing.clone()));
    assert_eq!(
        server.post("/v1/recognize", "application/json", br#"{"strokes":[]}"#),
        (200, nothing.clone())
    );

    let files: [(&str, &[u8]); 3] = [("a.png", &picture), ("b.txt", b"no picture"), ("c.png", &blank)];
    let (status, answers) = server.post("/v1/recognize/batch", FORM, &form(&files));
    assert_eq!(status, 200);
    assert_eq!(answers[0], json!({ "name": "a.png", "reading": reading }));
    assert_eq!(
        (&answers[1]["name"], &answers[1]["error"]["code"]),
        (&json!("b.txt"), &json!("not_an_image"))
    );
    assert_eq!(answers[2], json!({ "name": "c.png", "reading": nothing }));
}

#[test]
fn the_page_and_what_is_beside_it_are_served() {
    let server = Server::start(&["--model", "lenet5"]);
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/offline.js", "text/javascript; charset=utf-8"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/icon.svg", "image/svg+xml"),
        ("/openapi.json", "application/json"),
    ] {
        let answer = server.ask(path, "", None);
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &media_type.parse().unwrap())
        );
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; ") && !policy.contains("unsafe-inline"), "{policy}");
    }
    let network = server.ask("/network.safetensors", "", None).into_body();
    let (network, _) = weights::from_bytes(&network).unwrap();
    assert_eq!(network.parameters(), pretrained::lenet5().0.parameters());

    let described: Value = serde_json::from_slice(server.ask("/openapi.json", "", None).body()).unwrap();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let answer = server.ask(path, "", methods.get("post").map(|_| &b""[..]));
        assert!(![404, 405].contains(&answer.status().as_u16()), "{path}");
    }

    let (_, reading) = server.recognize(&png(pictures().swap_remove(0)));
    let digits = reading["digits"].as_array().unwrap();
    let refused = digits.iter().filter(|digit| digit["rejected"] == true).count();
    server.recognize(b"garbage");
    let metrics = String::from_utf8(server.ask("/metrics", "", None).into_body()).unwrap();
    for line in [
        "lenet_requests_total{route=\"/v1/recognize\",status=\"200\"} 1\n",
        "lenet_requests_total{route=\"/v1/recognize\",status=\"415\"} 2\n",
        "lenet_request_seconds_count{route=\"/v1/recognize\"} 3\n",
        "lenet_readings_total 1\n",
        &format!("lenet_digits_total {}\n", digits.len()),
        &format!("lenet_refusals_total {refused}\n"),
        "# EOF\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let server = Server::start(&["--megabytes", "1", "--megapixels", "2"]);
    let picture = png(pictures().swap_remove(0));
    // 50,000 x 50,000 pixels in 54 bytes; and four million in four thousand.
    let mut bomb = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bomb.extend([50_000_u32.to_le_bytes(), 50_000_u32.to_le_bytes()].concat());
    bomb.extend(b"\x01\0\x18\0");
    bomb.resize(54, 0);
    let flat = png(GrayImage::new(2000, 2000));
    let long = vec![b'x'; 1_000_001];
    let many = format!("{{\"strokes\": [[{}[1, 1]]]}}", "[1, 1], ".repeat(10_000));
    let files = vec![("a", &b"x"[..]); 257];
    let long_drawing = format!("{{\"strokes\": [[{}[1, 1]]]}}", "[1, 1], ".repeat(200_000));
    for (path, media_type, body, status, code, message) in [
        ("/v1/recognize", "image/png", &b""[..], 415, "not_an_image", "format: expected PNG, "),
        ("/v1/recognize", "image/png", b"garbage", 415, "not_an_image", "format: expected PNG, "),
        ("/v1/recognize", "image/png", &picture[..picture.len() / 2], 400, "malformed", ""),
        ("/v1/recognize", "image/png", b"P5 0 0 255\n", 400, "malformed", ""),
        (
            "/v1/recognize",
            "image/bmp",
            &bomb,
            413,
            "too_large",
            "size: expected at most 2 megapixels, found 50000",
        ),
        (
            "/v1/recognize",
            "image/png",
            &flat,
            413,
            "too_large",
            "size: expected at most 2 megapixels, found 2000",
        ),
        ("/v1/recognize", "image/png", &long, 413, "too_large", "body: expected at most 1000000 bytes"),
        ("/v1/recognize", "application/json", b"{", 400, "malformed", "EOF"),
        (
            "/v1/recognize",
            "application/json",
            b"{\"strokes\": [[[1]]]}",
            400,
            "malformed",
            "invalid length 1",
        ),
        ("/v1/recognize", "application/json", b"{\"lines\": []}", 400, "malformed", "unknown field `lines`"),
        (
            "/v1/recognize",
            "application/json",
            b"{\"strokes\": [[[1, -1]]]}",
            400,
            "malformed",
            "coordinates: expected",
        ),
        (
            "/v1/recognize",
            "application/json",
            many.as_bytes(),
            400,
            "malformed",
            "points: expected at most 10000",
        ),
        ("/v1/recognize", "application/json", long_drawing.as_bytes(), 413, "too_large", "body: "),
        (
            "/v1/recognize?explain=maybe",
            "image/png",
            &picture,
            400,
            "malformed",
            "Failed to deserialize query",
        ),
        (
            "/v1/recognize?explian=true",
            "image/png",
            &picture,
            400,
            "malformed",
            "Failed to deserialize query",
        ),
        ("/v1/recognize", "multipart/form-data", b"", 400, "malformed", "Invalid `boundary`"),
        ("/v1/recognize", FORM, b"--B--\r\n", 400, "malformed", "form: expected a file, found none"),
        ("/v1/recognize/batch", FORM, b"--B\r\nContent-Disp", 400, "malformed", ""),
        ("/v1/recognize/batch", FORM, &form(&files), 413, "too_large", "form: expected at most 256 files"),
        ("/v1/recognize/batch", "image/png", &picture, 400, "malformed", "Invalid `boundary`"),
        (
            "/v1/recognize/batch?explain=true",
            FORM,
            &form(&[]),
            400,
            "malformed",
            "explain: expected with one",
        ),
        ("/healthz", "", b"", 405, "method_not_allowed", ""),
        ("/v1", "", b"", 404, "not_found", ""),
    ] {
        let (found, answer) = server.post(path, media_type, body);
        let text = answer["error"]["message"].as_str().unwrap();
        assert_eq!((found, &answer["error"]["code"]), (status, &json!(code)), "{path} {media_type} {answer}");
        assert!(text.contains(message), "{text} lacks {message}");
    }
    assert_eq!(server.recognize(&picture).0, 200);
}

#[test]
fn requests_that_are_none_do_no_harm() {
    let server = Server::start(&["--timeout", "2"]);
    let status = |answer: &str| answer.get(9..12).unwrap_or_default().to_owned();
    let post = "POST /v1/recognize HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let flood: String = (0..200).map(|index| format!("x-{index}: y\r\n")).collect();
    for (what, request, expected) in [
        ("no HTTP", "\x16\x03\x01 garbage\r\n\r\n".to_owned(), "400"),
        ("a flood of headers", format!("{post}{flood}\r\n"), "431"),
        ("a long header", format!("{post}x: {}\r\n\r\n", "y".repeat(100_000)), "431"),
        ("a long path", get(&"/y".repeat(50_000)), "431"),
        ("a wrong length", format!("{post}Content-Length: -5\r\n\r\n"), "400"),
        ("two lengths", format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"), "400"),
        ("a length beyond all", format!("{post}Content-Length: 99999999999\r\n\r\n"), "413"),
        ("a wrong chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "400"),
        ("a path upwards", get("/../../../etc/passwd"), "404"),
        ("an escaped path upwards", get("/%2e%2e/%2e%2e/etc/passwd"), "404"),
        ("another server's path", get("http://example.com/x"), "404"),
        ("less than the length", format!("{post}Content-Length: 500\r\n\r\nabc"), "408"),
        ("half a header", "GET / HTTP/1.1\r\nHos".to_owned(), ""),
    ] {
        let answer = server.raw(request.as_bytes());
        assert_eq!(status(&answer), expected, "{what}: {answer}");
    }
    assert!(server.healthy());
}

#[test]
fn slow_clients_are_left() {
    let server = Server::start(&["--timeout", "1"]);
    let slow = |start: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        let begin = Instant::now();
        // A byte from time to time, until nobody listens any more.
        while begin.elapsed() < Duration::from_secs(10) && stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        (begin.elapsed(), answer)
    };
    for start in ["", "GET / HTTP/1.1\r\nx: ", "POST /v1/recognize HTTP/1.1\r\nContent-Length: 9999\r\n\r\n"]
    {
        let (time, _) = slow(start);
        // A second, with room for a busy machine.
        assert!(time < Duration::from_secs(8), "{start}: {time:?}");
    }
}

#[test]
fn those_who_wait_keep_nobody_out() {
    let server = Server::start(&["--connections", "10"]);
    let open = |start: &str| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        stream
    };
    let post = "POST /v1/recognize HTTP/1.1\r\nContent-Length: 9999\r\n\r\n";
    let _waiting: Vec<_> = (0..30).map(|index| open(["", "GET / HT", post][index % 3])).collect();
    let start = Instant::now();
    for _ in 0..20 {
        assert!(server.healthy());
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let server = Server::start(&["--timeout", "2"]);
    let picture = png(pictures().swap_remove(0));
    (0..200).for_each(|_| assert_eq!(server.recognize(&picture).0, 200));
    let before = server.memory();
    for _ in 0..25 {
        let requests = ["", "GET / HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\r\n\r\n"];
        let open = |index: usize| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            let _ = stream.write_all(requests[index % 4].as_bytes());
            stream
        };
        let streams: Vec<_> = (0..400).map(open).collect();
        drop(streams);
    }
    thread::sleep(Duration::from_millis(500));
    assert!(server.healthy());
    let growth = server.memory().saturating_sub(before);
    assert!(growth < 64 << 20, "{growth} bytes more than before");
}

#[test]
fn a_busy_server_says_so() {
    let server = Server::start(&["--workers", "1", "--queue", "0"]);
    let (small, large) = (png(pictures().swap_remove(0)), png(GrayImage::new(6000, 6000)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Until it gets the one place there is.
            while server.recognize(&large).0 == 503 {}
            done.store(true, Ordering::Relaxed);
        });
        let mut refused = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = server.ask("/v1/recognize", "image/png", Some(&small));
            if answer.status() == 503 {
                assert_eq!(answer.headers()["retry-after"], "1");
                let answer: Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(answer["error"]["code"], "busy");
                refused += 1;
            }
        }
        assert!(refused > 0);
    });
    assert_eq!(server.recognize(&small).0, 200);
}

#[cfg(unix)]
#[test]
fn told_to_stop_it_finishes_what_is_under_way() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(&[]);
        let large = png(GrayImage::new(5000, 5000));
        let head =
            format!("POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", large.len());
        let mut under_way = TcpStream::connect(&server.address).unwrap();
        under_way.write_all(&[head.as_bytes(), &large].concat()).unwrap();
        let mut idle = TcpStream::connect(&server.address).unwrap();
        thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        let mut answer = String::new();
        under_way.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
        assert!(server.process.wait().unwrap().success());
        assert!(TcpStream::connect(&server.address).is_err());
    }
}

#[test]
fn each_request_is_logged() {
    let mut server = Server::with_log(&[]);
    let mut lines = BufReader::new(server.process.stderr.take().unwrap()).lines();
    server.recognize(b"garbage");
    server.healthy();
    for expected in
        ["method=POST path=\"/v1/recognize\" status=415", "method=GET path=\"/healthz\" status=200"]
    {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(expected) && line.contains(" client=127.0.0.1:"), "{line}");
    }
}

#[test]
fn what_it_cannot_do_is_said() {
    let server = Server::start(&[]);
    let port = server.address.rsplit(':').next().unwrap();
    let mut command = lenet(Path::new("."));
    command = command.args(["serve", "--port", port]);
    assert!(crate::error(command).starts_with(&format!("127.0.0.1:{port}: could not be listened on: ")));
    let command = lenet(Path::new(".")).args(["serve", "--model", "missing.safetensors"]);
    assert!(crate::error(command).starts_with("missing.safetensors: could not be read: "));
}
