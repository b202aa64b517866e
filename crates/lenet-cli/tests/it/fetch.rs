//! `lenet fetch`: exit status and error line when the mirrors fail. Successful downloads are tested in `download.rs`, where the
//! checksum can be chosen.

use std::{fs, thread, time::Duration};

use snapbox::cmd::Command;
use tempfile::TempDir;

use crate::{
    files, lenet,
    mock_server::{MockServer, Response},
};

/// The first file of a dataset.
const FILE: &str = "train-images-idx3-ubyte.gz";

/// Returns the command that downloads MNIST into `folder` from `mirrors`.
fn fetch(folder: &TempDir, mirrors: &[&str]) -> Command {
    let mut command = lenet(folder.path())
        .args(["fetch", "mnist", "--retries", "0", "--timeout", "1", "--dir"])
        .arg(folder.path());
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command = command.env_remove(proxy);
    }
    mirrors.iter().fold(command, |command, mirror| command.args(["--mirror", mirror]))
}

#[test]
fn error_names_the_failure_of_each_mirror_and_no_file_is_left() {
    let mirrors = [
        (MockServer::start(&[Response::Status(404)]), "expected status 200, found 404"),
        (MockServer::start(&[Response::Status(500)]), "expected status 200, found 500"),
        (MockServer::start(&[Response::Whole(b"not the file")]), "expected checksum 440fcabf73cc546f"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let output = fetch(&folder, &mirrors.each_ref().map(|(server, _)| &server.url[..])).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(error.lines().count(), 1, "{error}");
    let path = folder.path().join(FILE);
    assert!(error.starts_with(&format!("error: {}: expected a mirror", path.display())), "{error}");
    for (server, why) in &mirrors {
        assert!(error.contains(&format!("{}{FILE}: {why}", server.url)), "{error}");
    }
    assert_eq!(files(folder.path()), [".lock"]);
}

#[test]
fn no_network_is_a_one_line_error() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on port 1.
    let output = fetch(&folder, &["http://127.0.0.1:1"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&format!("http://127.0.0.1:1/{FILE}: ")), "{error}");
    assert_eq!(files(folder.path()), [".lock"]);
}

#[test]
fn truncated_download_stays_a_part() {
    let folder = tempfile::tempdir().unwrap();
    for responses in [&[Response::Truncated(b"some of it", 4)][..], &[Response::Stalled(b"some of it", 4)]] {
        let server = MockServer::start(responses);
        fetch(&folder, &[&server.url]).assert().code(1);
        assert_eq!(fs::read(folder.path().join(format!("{FILE}.part"))).unwrap(), b"some");
        assert_eq!(files(folder.path()), [".lock".to_owned(), format!("{FILE}.part")]);
    }
}

#[test]
fn second_fetch_waits_for_the_first() {
    let server = MockServer::start(&[Response::Status(404)]);
    let folder = tempfile::tempdir().unwrap();
    let lock = fs::File::create(folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&folder, &[&server.url]).assert().code(1));
        // Without the lock, the program would end much earlier.
        thread::sleep(Duration::from_secs(1));
        assert!(!fetching.is_finished());
        assert_eq!(server.requests(), [""; 0]);
        drop(lock);
        fetching.join().unwrap();
    });
    assert_eq!(server.requests(), [format!("/{FILE}")]);
}

#[test]
fn unknown_dataset_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    lenet(folder.path()).args(["fetch", "cifar"]).assert().code(2);
}
