//! `lenet serve`

use std::{
    io::{BufRead, BufReader, Cursor, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use image::{DynamicImage, GrayImage, ImageFormat};
use lenet::{recognize::Recognizer, weights};
use serde_json::Value;
use snapbox::cmd::cargo_bin;

use crate::suite;

mod connections;
mod errors;
mod openapi;
mod operation;
mod recognize;
mod shutdown;

/// A running server, which is killed at the end of the test.
pub struct TestServer {
    process: Child,
    /// Address and port, such as `127.0.0.1:40001`.
    pub address: String,
}

impl TestServer {
    /// Starts a server that logs no requests.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with_log(&[&["--quiet"], arguments].concat())
    }

    fn start_with_log(arguments: &[&str]) -> Self {
        let mut lenet = Command::new(cargo_bin!("lenet"));
        lenet.args(["serve", "--port", "0"]).args(arguments).stderr(Stdio::piped());
        if !arguments.contains(&"--timeout") {
            lenet.args(LONG_TIMEOUT);
        }
        let mut process = lenet.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { process, address }
    }

    /// Sends a POST request if there is a body, else a GET request.
    pub fn request(
        &self,
        path: &str,
        media_type: &str,
        body: Option<&[u8]>,
    ) -> ureq::http::Response<Vec<u8>> {
        let agent: ureq::Agent = ureq::config::Config::builder().http_status_as_error(false).build().into();
        let url = format!("http://{}{path}", self.address);
        let response = match body {
            Some(body) => agent.post(url).header("Content-Type", media_type).send(body),
            None => agent.get(url).call(),
        };
        response.unwrap().map(|mut body| body.with_config().limit(1 << 30).read_to_vec().unwrap())
    }

    /// Sends a GET request and returns the body of the response.
    pub fn get(&self, path: &str) -> Vec<u8> {
        self.request(path, "", None).into_body()
    }

    /// Sends a POST request and returns the status and the JSON of the response.
    fn post(&self, path: &str, media_type: &str, body: &[u8]) -> (u16, Value) {
        let response = self.request(path, media_type, Some(body));
        assert_eq!(response.headers()["content-type"], "application/json");
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    /// Sends a POST request with lines of header, and returns the status and the whole response.
    fn post_with_header(&self, path: &str, header: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{header}\r\n\r\n"
        );
        let response = self.send_raw(&[head.as_bytes(), body].concat());
        (response[9..12].parse().unwrap(), response)
    }

    fn recognize(&self, image: &[u8]) -> (u16, Value) {
        self.post("/v1/recognize", "image/png", image)
    }

    fn is_healthy(&self) -> bool {
        self.get("/healthz") == b"ok\n"
    }

    /// Opens a connection and sends bytes.
    fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
        // Fails if the server closes the connection before it has received everything.
        let _ = stream.write_all(bytes);
        stream
    }

    /// Sends bytes on a new connection and returns everything that the server sends until it closes the connection.
    fn send_raw(&self, bytes: &[u8]) -> String {
        let mut response = Vec::new();
        let _ = self.connect(bytes).read_to_end(&mut response);
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Opens connections with incomplete bodies until the memory for bodies is used up. The server must have been started with
    /// [`BODY_MEMORY_OPTIONS`].
    fn use_up_body_memory(&self) -> Vec<TcpStream> {
        let head = "POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
        // Each body lacks one byte, so that the server waits for it. The limit is the memory of 16 bodies.
        let incomplete_body = [head.as_bytes(), &[b'x'; 999_999]].concat();
        let mut streams: Vec<_> = (0..16).map(|_| self.connect(&incomplete_body)).collect();
        let start = Instant::now();
        let mut last_connection = start;
        while self.recognize(&[b'x'; 100]).0 != 503 {
            assert!(start.elapsed() < Duration::from_secs(60), "the server accepts further bodies");
            thread::sleep(Duration::from_millis(20));
            // On a busy machine this request may take the last memory that one of the bodies needs, which is then rejected.
            if last_connection.elapsed() > Duration::from_secs(2) {
                streams.push(self.connect(&incomplete_body));
                last_connection = Instant::now();
            }
        }
        streams
    }

    /// Returns a recognizer with the weights of the server.
    pub fn recognizer(&self) -> Recognizer {
        Recognizer::new(weights::from_bytes(&self.get("/weights.safetensors")).unwrap().0).unwrap()
    }

    /// Sends a signal to the process.
    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Returns the resident memory of the process, in bytes.
    #[cfg(target_os = "linux")]
    fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A time limit that a busy machine or an emulator does not reach.
const LONG_TIMEOUT: [&str; 2] = ["--timeout", "300"];

/// A small limit for bodies.
const BODY_MEMORY_OPTIONS: [&str; 2] = ["--max-body-mb", "1"];

/// Returns ten images of one digit and ten of several.
pub fn sample_images() -> Vec<GrayImage> {
    let data = lenet_mnist::train().slice(0..1000);
    let canvases = suite::singles(&data, 10, 1).chain(suite::strings(&data, 10, 2));
    let to_image = |canvas: suite::Canvas| {
        GrayImage::from_raw(canvas.width as u32, canvas.height as u32, canvas.bytes()).unwrap()
    };
    canvases.map(|(canvas, _)| to_image(canvas)).collect()
}

/// Returns the image as a PNG file.
pub fn encode_png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A drawing of a 7.
pub const DRAWING_OF_7: &str = r#"{"strokes": [[[10, 10], [40, 10], [22, 60]]]}"#;

/// Returns a multipart form with files of these names and contents.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<_> = files.iter().map(|(name, _)| format!("name=\"f\"; filename=\"{name}\"")).collect();
    form_of(names.iter().map(String::as_str).zip(files.iter().map(|(_, content)| *content)))
}

/// Returns a multipart form with fields of these parameters, such as `name="f"`, and contents.
fn form_of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (parameters, content) in fields {
        let head = format!("--B\r\nContent-Disposition: form-data; {parameters}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    body
}

/// Media type of [`form`].
const FORM: &str = "multipart/form-data; boundary=B";
