//! Shutdown by signals.

#[cfg(unix)]
#[test]
fn completes_pending_requests_at_shutdown() {
    use std::{io::Read, net::TcpStream, thread, time::Duration};

    use image::GrayImage;

    use super::{TestServer, encode_png};

    for signal in ["-TERM", "-INT"] {
        let mut server = TestServer::start(&[]);
        let large = encode_png(GrayImage::new(5000, 5000));
        let head =
            format!("POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", large.len());
        let mut pending = server.connect(&[head.as_bytes(), &large].concat());
        let mut idle = server.connect(b"");
        thread::sleep(Duration::from_millis(100));
        server.signal(signal);
        let mut response = String::new();
        pending.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
        assert!(server.process.wait().unwrap().success());
        assert!(TcpStream::connect(&server.address).is_err());
    }
}
