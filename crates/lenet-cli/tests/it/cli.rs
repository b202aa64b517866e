//! The definition of the command line: earlier names of options, and the generated reference.

use std::{fs, path::Path};

use clap::{CommandFactory, parser::ValueSource};
use lenet_cli::{Cli, cli_docs};

#[test]
fn earlier_names_are_accepted() {
    for (arguments, id) in [
        ("train --validate 5", "holdout"),
        ("train --half", "f16"),
        ("train --twin file", "calibrate_from"),
        ("train --test-once", "test_once"),
        ("train --init a --architecture mlp --scaling 0,1", "normalize"),
        ("eval --architecture mlp --scaling 0,1", "normalize"),
        ("eval --pictures folder --without shadows", "skip_stage"),
        ("predict --architecture mlp --scaling 0,1 net images", "normalize"),
        ("recognize --model net a.png", "weights"),
        ("recognize --explain folder a.png", "trace"),
        ("recognize --megapixels 5 a.png", "max_megapixels"),
        ("recognize --architecture mlp --scaling 0,1 a.png", "normalize"),
        ("train handwriting", "new_architecture"),
        ("serve --model net", "weights"),
        ("serve --megabytes 5", "max_body_mb"),
        ("serve --megapixels 5", "max_megapixels"),
        ("serve --connections 5", "max_connections"),
        ("serve --queue 5", "queue_depth"),
    ] {
        let matches = Cli::command().try_get_matches_from(["lenet"].into_iter().chain(arguments.split(' ')));
        let matches = matches.unwrap_or_else(|error| panic!("lenet {arguments}: {error}"));
        let (_, matches) = matches.subcommand().unwrap();
        assert_eq!(matches.value_source(id), Some(ValueSource::CommandLine), "lenet {arguments}");
    }
}

#[test]
fn definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let found = fs::read_to_string(path).unwrap();
    assert!(
        found == cli_docs::markdown(),
        "docs/cli.md differs from the options: cargo run -p lenet-cli --example cli_docs > docs/cli.md"
    );
}
