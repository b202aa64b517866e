//! `lenet man`: the pages of the program and of its commands.

use std::{fs, path::Path};

use clap::CommandFactory;
use lenet_cli::Cli;

use crate::{error, lenet};

#[test]
fn prints_the_page_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let assert = lenet(folder.path()).arg("man").assert().success().stderr_eq("");
    let page = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(page.contains(".TH lenet 1"), "{page}");
    assert!(page.contains("lenet\\-recognize(1)"), "{page}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn writes_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let page = |name: &str| {
        let path = folder.path().join("share/man1").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let program = Cli::command();
    let names: Vec<_> =
        program.get_subcommands().map(|command| format!("lenet-{}.1", command.get_name())).collect();
    // The second time, the pages are replaced.
    for _ in 0..2 {
        let expected = format!("share/man1: {} man pages written\n", names.len() + 1);
        lenet(folder.path()).args(["man", "--out", "share/man1"]).assert().success().stdout_eq(expected);
    }
    assert!(page("lenet.1").contains(".TH lenet 1"));
    assert!(page("lenet-train.1").contains("\\-\\-holdout"));
    for name in &names {
        assert!(page(name).contains(&format!(".TH {} 1", name.trim_end_matches(".1"))), "{name}");
    }
    let files = fs::read_dir(folder.path().join("share/man1")).unwrap().count();
    assert_eq!(files, names.len() + 1);
}

#[test]
fn error_names_the_folder_that_cannot_be_created() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = error(lenet(folder.path()).args(["man", "--out"]).arg(Path::new("file/man1")));
    assert!(error.starts_with("file/man1: could not be created: "), "{error}");
}
