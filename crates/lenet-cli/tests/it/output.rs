//! Output to a closed pipe, a full disk, an unwritable path, a symbolic link, and a named pipe.

use std::fs;

use snapbox::str;

use crate::{error, folder, folder_with_network, lenet};

/// Commands with an option `--out`.
const WRITERS: [&[&str]; 3] = [
    &["train", "--data", "data", "--epochs", "1"],
    &["show", "--data", "data"],
    &["predict", "net.safetensors", "data/t10k-images-idx3-ubyte"],
];

#[test]
fn prints_help_without_a_command() {
    let folder = folder();
    lenet(folder.path()).assert().code(2).stdout_eq("").stderr_eq(str![[r#"
Handwritten digits: [..]
...
Usage: lenet[EXE] <COMMAND>

Commands:
...
"#]]);
    lenet(folder.path()).arg("shwo").assert().code(2).stdout_eq("");
}

#[test]
fn closed_pipe_exits_141_without_a_message() {
    let folder = folder_with_network();
    for arguments in [
        &["summary", "mlp"][..],
        &["show"],
        &["tutorial", "mlp", "--data", "data"],
        &["train", "--data", "data"],
        &["eval", "net.safetensors", "--data", "data"],
        &["predict", "net.safetensors", "data/t10k-images-idx3-ubyte"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut lenet = std::process::Command::new(snapbox::cmd::cargo_bin!("lenet"));
        let output = lenet.current_dir(folder.path()).args(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), &output.stderr[..]), (Some(141), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn error_names_the_unwritable_path() {
    let folder = folder_with_network();
    for arguments in WRITERS {
        for out in ["nowhere/out", "net.safetensors/out", "data"] {
            let error = error(lenet(folder.path()).args(arguments).args(["--out", out]));
            assert!(error.starts_with(&format!("{out}: ")), "{error}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn full_disk_keeps_the_old_file_and_no_temporary_file() {
    let folder = folder();
    fs::write(folder.path().join("out"), "old").unwrap();
    // Limits the size of a file to one block, so that writes beyond it fail as on a full disk.
    let command = snapbox::cmd::Command::new("sh")
        .current_dir(folder.path())
        .args(["-c", r#"trap '' XFSZ; ulimit -f 1; exec "$@""#, "sh"])
        .arg(snapbox::cmd::cargo_bin!("lenet"))
        .args(["show", "--data", "data", "--rows", "100", "--columns", "100", "--out", "out"]);
    let error = error(command);
    assert!(error.starts_with("out: could not be written: "), "{error}");
    assert_eq!(fs::read(folder.path().join("out")).unwrap(), b"old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn writes_through_links_and_into_pipes() {
    use std::{
        io::Read,
        os::unix::fs::{FileTypeExt, symlink},
        process::Command,
    };

    let folder = folder_with_network();
    let [link, target, pipe] = ["link", "target", "pipe"].map(|name| folder.path().join(name));
    fs::write(&target, "old").unwrap();
    symlink("target", &link).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for reading and writing, so that opening does not wait for the other end.
    let mut reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    for out in ["link", "pipe"] {
        let predict = lenet(folder.path()).args(WRITERS[2]).args(["--out", out]);
        predict.assert().success();
    }

    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let written = fs::read(target).unwrap();
    assert!(written.starts_with(b"ImageId,Label\n1,"));
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let mut piped = vec![0; written.len()];
    reader.read_exact(&mut piped).unwrap();
    assert_eq!(piped, written);
}
