//! Ctrl-C during `lenet train`.

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

/// Trains in `folder`, sends Ctrl-C after `lines` lines on stdout, and returns stdout and stderr.
fn interrupt(folder: &Path, arguments: &[&str], lines: usize) -> (String, String) {
    let mut lenet = Command::new(cargo_bin!("lenet"));
    lenet.arg("train").args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lenet.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut output_text = String::new();
    for _ in 0..lines {
        stdout.read_line(&mut output_text).unwrap();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let pressed = Instant::now();
    stdout.read_to_string(&mut output_text).unwrap();
    let output = child.wait_with_output().unwrap();
    // A generous limit for a busy machine or an emulator. Without the interrupt, the remaining epochs would take much longer.
    assert!(pressed.elapsed() < Duration::from_secs(30), "{:?}", pressed.elapsed());
    assert_eq!(output.status.code(), Some(130));
    (output_text, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn saves_the_last_complete_epoch() {
    let folder = folder();
    let arguments = ["--data", "data", "--epochs", "100000", "--out", "net", "--report", "page.html"];
    let (stdout, stderr) = interrupt(folder.path(), &arguments, 2);
    assert_eq!(stderr, "");
    let (_, provenance) = weights::from_bytes(&fs::read(folder.path().join("net")).unwrap()).unwrap();
    assert!(provenance.interrupted);
    let last = stdout.lines().last().unwrap();
    let expected = format!("interrupted; saved net after {} of 100000 epochs, ", provenance.epochs);
    assert!(last.starts_with(&expected), "{last}");
    assert_eq!(stdout.lines().count(), 1 + provenance.epochs + 2);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains(&format!("Interrupted after {} of 100000 epochs.", provenance.epochs)));
}

#[test]
fn writes_nothing_before_the_first_epoch_ends() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("cnn.safetensors");
    fs::write(&out, "old").unwrap();
    // All of MNIST: an epoch takes seconds.
    let (stdout, stderr) = interrupt(folder.path(), &["cnn"], 1);
    assert_eq!(stdout.lines().count(), 1);
    assert_eq!(stderr, "interrupted before the first epoch ended: no network was saved\n");
    assert_eq!(fs::read(out).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
