//! Ctrl-C while `lenet train` works.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lenet::weights;
use snapbox::cmd::cargo_bin;

use crate::folder;

/// Trains in `folder`, with Ctrl-C after so many lines on stdout: what stands on stdout and stderr then.
fn interrupt(folder: &Path, arguments: &[&str], lines: usize) -> (String, String) {
    let mut lenet = Command::new(cargo_bin!("lenet"));
    lenet.arg("train").args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lenet.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    for _ in 0..lines {
        stdout.read_line(&mut said).unwrap();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let pressed = Instant::now();
    stdout.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    // A second, with room for a busy machine: undisturbed, the epochs would take many times that.
    assert!(pressed.elapsed() < Duration::from_secs(5), "{:?}", pressed.elapsed());
    assert_eq!(output.status.code(), Some(130));
    (said, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn after_an_epoch_the_last_whole_one_is_saved() {
    let folder = folder();
    let arguments = ["--data", "data", "--epochs", "100000", "--out", "net", "--report", "page.html"];
    let (said, errors) = interrupt(folder.path(), &arguments, 2);
    assert_eq!(errors, "");
    let (_, provenance) = weights::from_bytes(&fs::read(folder.path().join("net")).unwrap()).unwrap();
    assert!(provenance.interrupted);
    let last = said.lines().last().unwrap();
    let told = format!("interrupted; saved net after {} of 100000 epochs, ", provenance.epochs);
    assert!(last.starts_with(&told), "{last}");
    assert_eq!(said.lines().count(), 1 + provenance.epochs + 2);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains(&format!("Broken off after {} of 100000 epochs.", provenance.epochs)));
}

#[test]
fn before_the_first_epoch_ends_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cnn.safetensors");
    fs::write(&out, "old").unwrap();
    // All of MNIST: an epoch takes seconds.
    let (said, errors) = interrupt(folder.path(), &["cnn"], 1);
    assert_eq!(said.lines().count(), 1);
    assert_eq!(errors, "interrupted before the first epoch ended: no network was saved\n");
    assert_eq!(fs::read(out).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
