//! What ARCHITECTURE.md promises of the sources, as far as their words tell. Where git doesn't list them, as in a
//! published crate, there is nothing to look at.

use std::{fs, path::Path, process::Command};

/// Files that are data: not text, or longer than [`LONGEST`]. So are the benchmarks' records.
const DATA: [&str; 12] = [
    "Cargo.lock",
    "benchmarks/Cargo.lock",
    "crates/lenet-mnist/data/t10k-images-idx3-ubyte.br",
    "crates/lenet-mnist/data/t10k-labels-idx1-ubyte.br",
    "crates/lenet-mnist/data/train-images-idx3-ubyte.br",
    "crates/lenet-mnist/data/train-labels-idx1-ubyte.br",
    "crates/lenet-nn/testdata/goldens.safetensors",
    "crates/lenet/weights/handwriting.safetensors",
    "crates/lenet/weights/lenet5.safetensors",
    "crates/lenet/weights/vgg.safetensors",
    "docs/digits.png",
    "docs/page.png",
];
/// Bytes of a source.
const LONGEST: usize = 32 << 10;

/// Ways out of the library.
const OUTSIDE: &str = "fs net env process time stdin stdout stderr print println eprint eprintln dbg";
/// What a layer doesn't know.
const DIGITS: &str = "SIDE PIXELS CLASSES Dataset";
/// What marks unfinished work, spelt so as not to be it.
const MARKS: &str = concat!("TO", "DO FIX", "ME");

/// The first of the `forbidden` words in the code of a source: not in its comments, nor in the tests at its end.
fn word_of(source: &str, forbidden: &str) -> Option<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next()?.lines().map(|line| line.split("//").next());
    let mut words = code.flatten().flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.find(|word| forbidden.split(' ').any(|other| other == *word)).map(str::to_owned)
}

#[test]
fn the_sources_are_as_promised() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let paths = git.output().map_or(String::new(), |output| String::from_utf8(output.stdout).unwrap());
    let ours = paths.lines().any(|path| path == "crates/lenet/tests/it/tidy.rs");
    let data = |path: &str| DATA.contains(&path) || path.starts_with("benchmarks/record/");
    for path in paths.lines().filter(|path| ours && root.join(path).exists() && !data(path)) {
        let text = String::from_utf8(fs::read(root.join(path)).unwrap()).unwrap_or_default();
        assert!((1..=LONGEST).contains(&text.len()), "{path}: expected text of 1 to {LONGEST} bytes");
        let mark = MARKS.split(' ').find(|mark| text.contains(mark));
        assert_eq!(mark, None, "{path}: expected finished work");
        if (path.starts_with("crates/lenet/src/") || path.starts_with("crates/lenet-nn/src/"))
            && !path.contains("/tests/")
        {
            assert_eq!(
                word_of(&text, OUTSIDE),
                None,
                "{path}: expected a library that touches nothing outside"
            );
        }
        let layer = path.strip_prefix("crates/lenet-nn/src/").and_then(|file| file.strip_suffix(".rs"));
        if layer.is_some_and(|layer| {
            "activation batchnorm conv2d dropout lanes layer linear pool winograd".contains(layer)
        }) {
            assert_eq!(word_of(&text, DIGITS), None, "{path}: expected a layer for any images and classes");
        }
        assert!(path != ".ci/run" || text.contains("exec ./check"), "{path}: expected to call ./check");
    }
}
