//! `Downloader` with servers that fail in every way: the result is either the complete file or none.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lenet_cli::download::{Downloader, MAX_BYTES};

use crate::{
    files,
    mock_server::{MockServer, Response},
};

const BODY: &[u8] = b"what the file should hold";
const OTHER: &[u8] = b"an error page, say";
const MD5: &str = "7081fffda374fd0809252235ace046ba";
const SHA256: &str = "1d585bd41e0ce0ab90571771ce536ce9e09ff5c7af19c3e450446790d441636a";

/// Creates a temporary folder, and returns a path in it to download to.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.gz");
    (folder, path)
}

/// Returns a downloader with two retries and short delays.
fn downloader() -> Downloader {
    Downloader::new(Duration::from_millis(200), 2, Duration::from_millis(1))
}

/// Downloads from one server that sends `responses`. Returns the result and the received requests.
fn fetch(path: &Path, responses: &'static [Response]) -> (anyhow::Result<bool>, Vec<String>) {
    let server = MockServer::start(responses);
    let result = downloader().download_if_missing(std::slice::from_ref(&server.url), path, MD5);
    (result, server.requests())
}

#[test]
fn resumes_and_retries_until_the_file_is_complete() {
    let table: &[(&[Response], &[&str])] = &[
        (&[Response::Whole(BODY)], &["/file.gz"]),
        // Broken off, then the server knows ranges; then it doesn't.
        (&[Response::Truncated(BODY, 10), Response::Range(BODY)], &["/file.gz", "/file.gz bytes=10-"]),
        (&[Response::Truncated(BODY, 10), Response::Whole(BODY)], &["/file.gz", "/file.gz bytes=10-"]),
        (&[Response::Truncated(BODY, 0), Response::Whole(BODY)], &["/file.gz", "/file.gz"]),
        (&[Response::Stalled(BODY, 10), Response::Range(BODY)], &["/file.gz", "/file.gz bytes=10-"]),
        (&[Response::Status(500), Response::Status(503), Response::Whole(BODY)], &["/file.gz"; 3]),
        // A part of it that nobody asked for.
        (
            &[Response::Truncated(BODY, 10), Response::Status(206), Response::Whole(BODY)],
            &["/file.gz", "/file.gz bytes=10-", "/file.gz"],
        ),
        // The beginning was of something else: once more from the start.
        (
            &[Response::Truncated(OTHER, 10), Response::Range(BODY), Response::Whole(BODY)],
            &["/file.gz", "/file.gz bytes=10-", "/file.gz"],
        ),
    ];
    for (responses, expected) in table {
        let (_folder, path) = folder();
        let (result, requests) = fetch(&path, responses);
        assert!(result.unwrap());
        assert_eq!(requests, *expected);
        assert_eq!(fs::read(&path).unwrap(), BODY);
        assert_eq!(files(path.parent().unwrap()), ["file.gz"]);
    }
}

#[test]
fn reports_failure_and_keeps_only_a_resumable_part() {
    let table: &[(&[Response], usize, &str, &[&str])] = &[
        (&[Response::Status(404)], 1, "expected status 200, found 404", &[]),
        (&[Response::Status(500)], 3, "expected status 200, found 500", &[]),
        (&[Response::Range(BODY)], 1, "expected status 200, found 206", &[]),
        (&[Response::Truncated(BODY, 10)], 3, "disconnected after 10 bytes", &["file.gz.part"]),
        (&[Response::Stalled(BODY, 0)], 3, "timeout", &["file.gz.part"]),
        (&[Response::Whole(OTHER)], 1, "expected checksum", &[]),
        (&[Response::Whole(&[0; MAX_BYTES as usize + 1])], 1, "expected at most 67108864 bytes", &[]),
    ];
    for (responses, asked, why, left) in table {
        let (_folder, path) = folder();
        let (result, requests) = fetch(&path, responses);
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: expected a mirror", path.display())), "{error}");
        assert!(error.contains(why), "{error}");
        assert_eq!(requests.len(), *asked, "{error}");
        assert_eq!(files(path.parent().unwrap()), *left);
    }
}

#[test]
fn continues_with_the_next_mirror() {
    let (_folder, path) = folder();
    let mirrors = [
        MockServer::start(&[Response::Status(404)]),
        MockServer::start(&[Response::Whole(OTHER)]),
        MockServer::start(&[Response::Truncated(BODY, 10)]),
        MockServer::start(&[Response::Range(BODY)]),
    ];
    let urls = mirrors.each_ref().map(|mirror| mirror.url.clone());
    assert!(downloader().download_if_missing(&urls, &path, MD5).unwrap());
    assert_eq!(fs::read(&path).unwrap(), BODY);
    assert_eq!(mirrors[3].requests(), ["/file.gz bytes=10-"]);
}

#[test]
fn error_names_the_failure_of_each_mirror() {
    let (_folder, path) = folder();
    let mirrors = [MockServer::start(&[Response::Status(404)]), MockServer::start(&[Response::Status(410)])];
    let urls = mirrors.each_ref().map(|mirror| mirror.url.clone());
    let error = downloader().download_if_missing(&urls, &path, MD5).unwrap_err().to_string();
    let [first, second] = &urls;
    assert!(error.ends_with(&format!(
        "found {first}file.gz: expected status 200, found 404; {second}file.gz: expected status 200, found 410"
    )));
}

#[test]
fn does_not_download_a_verified_file_again() {
    let (_folder, path) = folder();
    fs::write(&path, BODY).unwrap();
    for checksum in [MD5, SHA256] {
        assert!(!downloader().download_if_missing(&[], &path, checksum).unwrap());
    }
}

#[test]
fn replaces_a_corrupt_file_only_by_a_verified_one() {
    let (_folder, path) = folder();
    fs::write(&path, OTHER).unwrap();
    fetch(&path, &[Response::Truncated(BODY, 10)]).0.unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), OTHER);
    fetch(&path, &[Response::Range(BODY)]).0.unwrap();
    assert_eq!(fs::read(&path).unwrap(), BODY);
}

#[test]
fn resumes_or_discards_the_part_of_an_earlier_call() {
    let parts: &[(&[u8], &[&str])] = &[
        (&BODY[..7], &["/file.gz bytes=7-"]),
        (BODY, &["/file.gz bytes=25-"]),
        (&[0; 100], &["/file.gz bytes=100-", "/file.gz"]),
    ];
    for (part, expected) in parts {
        let (_folder, path) = folder();
        fs::write(path.with_file_name("file.gz.part"), part).unwrap();
        let server = MockServer::start(if expected.len() == 2 {
            &[Response::Range(BODY), Response::Whole(BODY)]
        } else {
            &[Response::Range(BODY)]
        });
        assert!(downloader().download_if_missing(std::slice::from_ref(&server.url), &path, MD5).unwrap());
        assert_eq!(server.requests(), *expected);
        assert_eq!(fs::read(&path).unwrap(), BODY);
    }
}

#[test]
fn unwritable_folder_is_a_local_error() {
    let (_folder, path) = folder();
    let path = path.join("missing").join("file.gz");
    let error = fetch(&path, &[Response::Whole(BODY)]).0.unwrap_err();
    assert!(format!("{error:#}").contains("file.gz.part: could not be written"), "{error:#}");
}
