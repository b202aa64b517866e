//! A web server on the loopback whose every answer is told beforehand.

// The program's unit tests share this file with its integration tests, and neither uses all of it.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// What one request gets.
#[derive(Clone, Copy)]
pub enum Answer {
    /// Status 200 and all of it, whatever range was asked for.
    Whole(&'static [u8]),
    /// Status 206 and what was asked for; 416 if there is nothing there.
    Range(&'static [u8]),
    /// Status 200, the length of all of it, and then only so many bytes.
    Cut(&'static [u8], usize),
    /// As [`Cut`](Self::Cut), but then silence where that closes the connection.
    Stall(&'static [u8], usize),
    /// Another status, and nothing else.
    Status(u16),
}

/// A running server: ends with the test process.
pub struct Server {
    /// Where it listens.
    pub url: String,
    requests: Receiver<String>,
}

/// Starts a server that gives `answers` in turn, the last again and again.
pub fn serve(answers: &'static [Answer]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    thread::spawn(move || {
        let last = answers[answers.len() - 1];
        for (answer, stream) in
            answers.iter().copied().chain(std::iter::repeat(last)).zip(listener.incoming())
        {
            // A client that leaves early is a test of the client, not a fault of the server.
            let _ = answer.give(stream.unwrap(), &sender);
        }
    });
    Server { url, requests }
}

impl Server {
    /// The requests since the last call: the path, then the range if one was asked for.
    pub fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

impl Answer {
    fn give(self, mut stream: TcpStream, requests: &Sender<String>) -> std::io::Result<()> {
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

        let (status, body, sent) = match self {
            Self::Whole(body) => (200, body, body.len()),
            Self::Range(body) if start >= body.len() => (416, &[][..], 0),
            Self::Range(body) => (206, &body[start..], body.len() - start),
            Self::Cut(body, sent) | Self::Stall(body, sent) => (200, body, sent),
            Self::Status(status) => (status, &[][..], 0),
        };
        let len = body.len();
        write!(stream, "HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {len}\r\n")?;
        if let (Self::Range(_), 206) = (self, status) {
            write!(stream, "Content-Range: bytes {start}-{}/{}\r\n", start + len - 1, start + len)?;
        }
        write!(stream, "\r\n")?;
        stream.write_all(&body[..sent])?;
        if let Self::Stall(..) = self {
            stream.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    }
}
