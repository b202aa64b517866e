//! An HTTP server on the loopback interface with scripted responses.

// The program's unit tests share this file with its integration tests, and neither uses all of it.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// The response to one request.
#[derive(Clone, Copy)]
pub enum Response {
    /// Status 200 and the whole body; the request's `Range` header is ignored.
    Whole(&'static [u8]),
    /// Status 206 and the requested range of the body; status 416 if the range starts at or after the end.
    Range(&'static [u8]),
    /// Status 200 with the `Content-Length` of the whole body, of which only the first bytes are sent before the
    /// connection is closed.
    Truncated(&'static [u8], usize),
    /// As [`Truncated`](Self::Truncated), but the connection stays open.
    Stalled(&'static [u8], usize),
    /// Any other status, with an empty body.
    Status(u16),
}

/// A running server, which ends with the test process.
pub struct MockServer {
    /// The base URL, such as `http://127.0.0.1:40001/`.
    pub url: String,
    requests: Receiver<String>,
}

impl MockServer {
    /// Starts a server that sends `responses` in order and repeats the last one.
    pub fn start(responses: &'static [Response]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        thread::spawn(move || {
            let last = responses[responses.len() - 1];
            for (response, stream) in
                responses.iter().copied().chain(std::iter::repeat(last)).zip(listener.incoming())
            {
                // An error means that the client closed the connection early, which some tests provoke.
                let _ = response.send(stream.unwrap(), &sender);
            }
        });
        Self { url, requests }
    }

    /// Returns the requests since the last call: the path of each, followed by its range if it has one.
    pub fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

impl Response {
    fn send(self, mut stream: TcpStream, requests: &Sender<String>) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut request = lines.next().unwrap()?.split(' ').nth(1).unwrap().to_string();
        let mut start = 0;
        for line in lines {
            let line = line?.to_lowercase();
            if let Some(range) = line.strip_prefix("range: ") {
                request = format!("{request} {range}");
                start = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        requests.send(request).unwrap();

        let (status, body, sent_len) = match self {
            Self::Whole(body) => (200, body, body.len()),
            Self::Range(body) if start >= body.len() => (416, &[][..], 0),
            Self::Range(body) => (206, &body[start..], body.len() - start),
            Self::Truncated(body, sent_len) | Self::Stalled(body, sent_len) => (200, body, sent_len),
            Self::Status(status) => (status, &[][..], 0),
        };
        let len = body.len();
        write!(stream, "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {len}\r\n")?;
        if let (Self::Range(_), 206) = (self, status) {
            write!(stream, "Content-Range: bytes {start}-{}/{}\r\n", start + len - 1, start + len)?;
        }
        write!(stream, "\r\n")?;
        stream.write_all(&body[..sent_len])?;
        if let Self::Stalled(..) = self {
            stream.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    }
}
