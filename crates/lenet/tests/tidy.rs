//! Rules of ARCHITECTURE.md that a search of the sources can check.
//!
//! The test needs the git repository and fails without it. It is not part of the published crate.

use std::{fs, path::Path, process::Command};

/// Folders of data: the records of the benchmarks, and the compiled WebAssembly modules.
const DATA_FOLDERS: [&str; 2] = ["benchmarks/record/", "crates/lenet-web/dist/"];
/// Files of data: not text, or longer than [`MAX_SOURCE_BYTES`].
const DATA: [&str; 25] = [
    "Cargo.lock",
    "benchmarks/Cargo.lock",
    "benchmarks/browser/package-lock.json",
    "crates/lenet-mnist/data/t10k-images-idx3-ubyte.br",
    "crates/lenet-mnist/data/t10k-labels-idx1-ubyte.br",
    "crates/lenet-mnist/data/train-images-idx3-ubyte.br",
    "crates/lenet-mnist/data/train-labels-idx1-ubyte.br",
    "crates/lenet-nn/testdata/goldens.safetensors",
    "crates/lenet/weights/handwriting.safetensors",
    "crates/lenet/weights/ink.safetensors",
    "crates/lenet/weights/lenet5.safetensors",
    "crates/lenet/weights/marks.safetensors",
    "crates/lenet/weights/micro.safetensors",
    "crates/lenet/weights/vgg.safetensors",
    "docs/digits.png",
    "docs/learn.png",
    "docs/page.png",
    "docs/recognition/components.png",
    "docs/recognition/form.png",
    "docs/recognition/ink.png",
    "docs/recognition/normalized.png",
    "docs/recognition/page.png",
    "docs/recognition/reading.png",
    "docs/recognition/segments.png",
    "fuzz/Cargo.lock",
];
/// Maximum size of a source file.
const MAX_SOURCE_BYTES: usize = 32 << 10;
/// Maximum length of a source file under `src`.
const MAX_LINES: usize = 600;

/// Names through which code reaches files, network, clock, environment or standard streams.
const OUTSIDE: &str = "fs net env process time stdin stdout stderr print println eprint eprintln dbg";
/// Names of the domain, which the engine does not know.
const DOMAIN: &str = "SIDE PIXELS CLASSES Dataset";
/// Marks of unfinished work, split so that this file does not contain them.
const MARKS: &str = concat!("TO", "DO FIX", "ME");

/// Returns the first of the space-separated `forbidden` words in the code of a source, without its comments and its tests.
fn forbidden_word(source: &str, forbidden: &str) -> Option<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next()?.lines().map(|line| line.split("//").next());
    let mut words = code.flatten().flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.find(|word| forbidden.split(' ').any(|other| other == *word)).map(str::to_owned)
}

/// Returns the paths of all files that git tracks or would add.
fn repository_files(root: &Path) -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = git.output().expect("git, which lists the sources");
    let paths = String::from_utf8(output.stdout).expect("paths in UTF-8");
    let paths: Vec<_> = paths.lines().filter(|path| root.join(path).exists()).map(str::to_owned).collect();
    assert!(
        paths.iter().any(|path| path == "crates/lenet/tests/tidy.rs"),
        "{}: expected the git repository of the sources",
        root.display()
    );
    paths
}

#[test]
fn sources_follow_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_data =
        |path: &str| DATA.contains(&path) || DATA_FOLDERS.iter().any(|folder| path.starts_with(folder));
    let paths = repository_files(&root);
    for path in DATA {
        assert!(paths.iter().any(|listed| listed == path), "{path}: expected in the repository");
    }
    for path in paths.iter().filter(|path| !is_data(path)) {
        let text = String::from_utf8(fs::read(root.join(path)).unwrap()).unwrap_or_default();
        assert!(
            (1..=MAX_SOURCE_BYTES).contains(&text.len()),
            "{path}: expected text of 1 to {MAX_SOURCE_BYTES} bytes"
        );
        let mark = MARKS.split(' ').find(|mark| text.contains(mark));
        assert_eq!(mark, None, "{path}: expected finished work");
        let in_crate = |name: &str| path.starts_with(&format!("crates/{name}/src/"));
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        if (in_crate("lenet") || in_crate("lenet-nn")) && !is_test {
            let word = forbidden_word(&text, OUTSIDE);
            assert_eq!(word, None, "{path}: expected no files, network, clock, environment or output");
        }
        if in_crate("lenet-nn") && !is_test {
            let word = forbidden_word(&text, DOMAIN);
            assert_eq!(word, None, "{path}: expected an engine for any images and classes");
        }
        if path.contains("/src/") {
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{path}: expected at most {MAX_LINES} lines, found {lines}");
        }
        assert!(path != ".ci/run" || text.contains("exec ./check"), "{path}: expected to call ./check");
    }
}
