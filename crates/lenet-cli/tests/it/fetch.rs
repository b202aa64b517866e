//! `lenet fetch`: exit status and error line when the mirrors fail. Successful downloads are tested in `download.rs`, where the
//! checksum can be chosen.

use std::fs;

use snapbox::cmd::Command;

use crate::{
    lenet,
    mock_server::{MockServer, Response},
};

/// Returns the command that downloads MNIST into `folder` from `mirrors`.
fn fetch(folder: &tempfile::TempDir, mirrors: &[&str]) -> Command {
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
    let path = folder.path().join("train-images-idx3-ubyte.gz");
    assert!(error.starts_with(&format!("error: {}: expected a mirror", path.display())), "{error}");
    for (server, why) in &mirrors {
        assert!(error.contains(&format!("{}train-images-idx3-ubyte.gz: {why}", server.url)), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn no_network_is_a_one_line_error() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on port 1.
    let output = fetch(&folder, &["http://127.0.0.1:1"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("http://127.0.0.1:1/train-images-idx3-ubyte.gz: "), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn truncated_download_stays_a_part() {
    let folder = tempfile::tempdir().unwrap();
    for responses in [&[Response::Truncated(b"some of it", 4)][..], &[Response::Stalled(b"some of it", 4)]] {
        let server = MockServer::start(responses);
        fetch(&folder, &[&server.url]).assert().code(1);
        assert_eq!(fs::read(folder.path().join("train-images-idx3-ubyte.gz.part")).unwrap(), b"some");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn unknown_dataset_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    lenet(folder.path()).args(["fetch", "cifar"]).assert().code(2);
}
