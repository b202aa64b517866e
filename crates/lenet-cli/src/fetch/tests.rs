//! Downloads from servers that misbehave: what is left is the whole file, or none.

use super::*;
use mock_server::{MockServer, Response};

#[path = "../../tests/it/mock_server.rs"]
mod mock_server;

const BODY: &[u8] = b"what the file should hold";
const OTHER: &[u8] = b"an error page, say";
const MD5: &str = "7081fffda374fd0809252235ace046ba";
const SHA256: &str = "1d585bd41e0ce0ab90571771ce536ce9e09ff5c7af19c3e450446790d441636a";

/// A folder of this test alone, with the path to download to.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.gz");
    (folder, path)
}

/// A downloader that retries twice and waits for next to nothing.
fn downloader() -> Downloader {
    Downloader::new(Duration::from_millis(200), 2, Duration::from_millis(1))
}

/// Downloads from one server that gives `responses`; what it was asked for.
fn fetch(path: &Path, responses: &'static [Response]) -> (anyhow::Result<bool>, Vec<String>) {
    let server = MockServer::start(responses);
    let result = downloader().fetch(std::slice::from_ref(&server.url), path, MD5);
    (result, server.requests())
}

/// What the folder of `path` holds.
fn files(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn recovers() {
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
        assert_eq!(files(&path), ["file.gz"]);
    }
}

#[test]
fn gives_up() {
    let table: &[(&[Response], usize, &str, &[&str])] = &[
        (&[Response::Status(404)], 1, "expected status 200, found 404", &[]),
        (&[Response::Status(500)], 3, "expected status 200, found 500", &[]),
        (&[Response::Range(BODY)], 1, "expected status 200, found 206", &[]),
        (&[Response::Truncated(BODY, 10)], 3, "disconnected after 10 bytes", &["file.gz.part"]),
        (&[Response::Stalled(BODY, 0)], 3, "timeout", &["file.gz.part"]),
        (&[Response::Whole(OTHER)], 1, "expected checksum", &[]),
        (&[Response::Whole(&[0; LONGEST as usize + 1])], 1, "expected at most 67108864 bytes", &[]),
    ];
    for (responses, asked, why, left) in table {
        let (_folder, path) = folder();
        let (result, requests) = fetch(&path, responses);
        let error = result.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: expected a mirror", path.display())), "{error}");
        assert!(error.contains(why), "{error}");
        assert_eq!(requests.len(), *asked, "{error}");
        assert_eq!(files(&path), *left);
    }
}

#[test]
fn the_next_mirror_takes_over() {
    let (_folder, path) = folder();
    let mirrors = [
        MockServer::start(&[Response::Status(404)]),
        MockServer::start(&[Response::Whole(OTHER)]),
        MockServer::start(&[Response::Truncated(BODY, 10)]),
        MockServer::start(&[Response::Range(BODY)]),
    ];
    let urls = mirrors.each_ref().map(|mirror| mirror.url.clone());
    assert!(downloader().fetch(&urls, &path, MD5).unwrap());
    assert_eq!(fs::read(&path).unwrap(), BODY);
    assert_eq!(mirrors[3].requests(), ["/file.gz bytes=10-"]);
}

#[test]
fn every_mirrors_failure_is_named() {
    let (_folder, path) = folder();
    let mirrors = [MockServer::start(&[Response::Status(404)]), MockServer::start(&[Response::Status(410)])];
    let urls = mirrors.each_ref().map(|mirror| mirror.url.clone());
    let error = downloader().fetch(&urls, &path, MD5).unwrap_err().to_string();
    let [first, second] = &urls;
    assert!(error.ends_with(&format!(
        "found {first}file.gz: expected status 200, found 404; {second}file.gz: expected status 200, found 410"
    )));
}

#[test]
fn a_good_file_is_left_alone() {
    let (_folder, path) = folder();
    fs::write(&path, BODY).unwrap();
    for checksum in [MD5, SHA256] {
        assert!(!downloader().fetch(&[], &path, checksum).unwrap());
    }
}

#[test]
fn a_damaged_file_is_replaced_by_a_whole_one_only() {
    let (_folder, path) = folder();
    fs::write(&path, OTHER).unwrap();
    fetch(&path, &[Response::Truncated(BODY, 10)]).0.unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), OTHER);
    fetch(&path, &[Response::Range(BODY)]).0.unwrap();
    assert_eq!(fs::read(&path).unwrap(), BODY);
}

#[test]
fn an_earlier_calls_part_is_finished_or_thrown_away() {
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
        assert!(downloader().fetch(std::slice::from_ref(&server.url), &path, MD5).unwrap());
        assert_eq!(server.requests(), *expected);
        assert_eq!(fs::read(&path).unwrap(), BODY);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_mirrors_fault() {
    let (_folder, path) = folder();
    let path = path.join("missing").join("file.gz");
    let error = fetch(&path, &[Response::Whole(BODY)]).0.unwrap_err();
    assert!(format!("{error:#}").contains("file.gz.part: could not be written"), "{error:#}");
}
