//! Slow clients, many connections, and full queues.

use std::{
    io::{Read, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use image::GrayImage;
use serde_json::Value;

use super::{BODY_MEMORY_OPTIONS, TestServer, encode_png, sample_images};

const SLOW_POST: &str = "POST /v1/recognize HTTP/1.1\r\nContent-Length: 9999\r\n\r\n";

#[test]
fn disconnects_slow_clients() {
    let server = TestServer::start(&["--timeout", "1"]);
    // Returns the time until the server closes the connection.
    let send_slowly = |start: &str| {
        let mut stream = server.connect(start.as_bytes());
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) && stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = stream.read_to_end(&mut Vec::new());
        begin.elapsed()
    };
    for start in ["", "GET / HTTP/1.1\r\nx: ", SLOW_POST] {
        let time = send_slowly(start);
        // The limit is one second. The rest is for a busy machine.
        assert!(time < Duration::from_secs(8), "{start}: {time:?}");
    }
}

#[test]
fn drops_idle_connections_when_full() {
    let server = TestServer::start(&["--max-connections", "10"]);
    let requests = ["", "GET / HT", SLOW_POST];
    let _idle: Vec<_> = (0..30).map(|index| server.connect(requests[index % 3].as_bytes())).collect();
    let start = Instant::now();
    for _ in 0..20 {
        assert!(server.is_healthy());
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn releases_the_memory_of_ten_thousand_connections() {
    let server = TestServer::start(&["--timeout", "2"]);
    let image = encode_png(sample_images().swap_remove(0));
    (0..200).for_each(|_| assert_eq!(server.recognize(&image).0, 200));
    let before = server.resident_bytes();
    for _ in 0..25 {
        let requests = ["", "GET / HT", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\r\n\r\n"];
        let streams: Vec<_> = (0..400).map(|index| server.connect(requests[index % 4].as_bytes())).collect();
        drop(streams);
    }
    thread::sleep(Duration::from_millis(500));
    assert!(server.is_healthy());
    let growth = server.resident_bytes().saturating_sub(before);
    assert!(growth < 64 << 20, "{growth} bytes more than before");
}

#[test]
fn returns_503_when_the_queue_is_full() {
    let server = TestServer::start(&["--workers", "1", "--queue-depth", "0"]);
    let (small, large) = (encode_png(sample_images().swap_remove(0)), encode_png(GrayImage::new(6000, 6000)));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Until the large image gets the only permit.
            while server.recognize(&large).0 == 503 {}
            done.store(true, Ordering::Relaxed);
        });
        let mut busy_responses = 0;
        while !done.load(Ordering::Relaxed) {
            let response = server.request("/v1/recognize", "image/png", Some(&small));
            if response.status() == 503 {
                assert_eq!(response.headers()["retry-after"], "1");
                let response: Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(response["error"]["code"], "busy");
                busy_responses += 1;
            }
        }
        assert!(busy_responses > 0);
    });
    assert_eq!(server.recognize(&small).0, 200);
}

#[test]
fn returns_503_when_the_memory_for_bodies_is_used_up() {
    let server = TestServer::start(&BODY_MEMORY_OPTIONS);
    let image = encode_png(sample_images().swap_remove(0));
    let streams = server.use_up_body_memory();
    assert_eq!(server.recognize(&image).0, 503);
    drop(streams);
    let start = Instant::now();
    while server.recognize(&image).0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(60), "the memory is not released");
        thread::sleep(Duration::from_millis(20));
    }
}
