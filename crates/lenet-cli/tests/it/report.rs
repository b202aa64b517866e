//! `lenet train --report`: content and well-formedness of the page.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use lenet::PIXELS;
use serde_json::Value;

use crate::{folder, lenet, pixels};

/// Runs `lenet train --report`, and returns its last line of JSON and the page.
fn report(folder: &Path, arguments: &str) -> (Value, String) {
    let train = lenet(folder).args(["train", "--data", "data", "--json", "--report", "page.html"]);
    let output = train.args(arguments.split_whitespace()).assert().success().stderr_eq("");
    let stdout = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert_well_formed(&page);
    (serde_json::from_str(stdout.lines().last().unwrap()).unwrap(), page)
}

/// Asserts that elements are nested properly, special characters are escaped, and the page loads nothing from elsewhere.
#[track_caller]
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect(part);
        let name = tag.split_whitespace().next().expect(part);
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{part}"),
            None if ["!DOCTYPE", "meta", "img", "br"].contains(&name) => {}
            None => open.push(name),
        }
        assert!(tag.matches('"').count() % 2 == 0, "{tag}");
        for rest in part.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|name| rest.starts_with(name)), "{part}");
        }
    }
    assert_eq!(open, [""; 0]);
    for foreign in ["http", "url(", "@import", "<script", "<link", "<iframe"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("src=").count(), page.matches("src=\"data:image/png;base64,").count());
}

/// Returns each text between `start` and the next `end`.
fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    page.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn page_has_all_sections_facts_and_mistakes() {
    let folder = folder();
    let (result, page) = report(folder.path(), "mlp --epochs 2 --seed 42 --threads 1 --batch-size 16");
    let accuracy = result["test_accuracy"].as_f64().unwrap();
    let title = format!("mlp, test accuracy {:.2}%", 100.0 * accuracy);
    assert_eq!(between(&page, "<title>", "</title>"), [title.as_str()]);
    assert_eq!(page.matches("<svg").count(), 3);
    assert_eq!(page.matches("class=\"epoch\"").count(), 3 * 2);
    for fact in [
        "<dt>Parameters</dt><dd>623,290</dd>",
        "<dt>Epochs</dt><dd>2</dd>",
        "<dt>Seed</dt><dd>42</dd>",
        "<dt>Threads</dt><dd>1</dd>",
        "<dt>Trained on</dt><dd>30 images</dd>",
        "<dt>Evaluated on</dt><dd>7 test images</dd>",
        concat!("<dt>Program</dt><dd>lenet ", env!("CARGO_PKG_VERSION"), "</dd>"),
        "batch_size = 16\n",
        "2 steps an epoch",
    ] {
        assert!(page.contains(fact), "expected {fact} in {page}");
    }
    let counts: usize = between(&page, "style=\"--part:", "</td>")
        .iter()
        .map(|cell| cell.split('>').nth(1).unwrap().parse::<usize>().unwrap())
        .sum();
    assert_eq!(counts, 7);

    let images = between(&page, "src=\"data:image/png;base64,", "\"");
    let mistakes = 7 - (7.0 * accuracy).round() as usize;
    assert!(mistakes > 0);
    assert_eq!(images.len(), mistakes);
    for (image, index) in images.iter().zip(between(&page, "alt=\"Image ", ",")) {
        let png = BASE64_STANDARD.decode(image).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut decoded = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut decoded).unwrap();
        let index: usize = index.parse().unwrap();
        let ink: Vec<u8> = decoded.as_chunks::<2>().0.iter().map(|pixel| pixel[1]).collect();
        assert!(ink == pixels(7)[index * PIXELS..][..PIXELS], "image {index}");
    }
}

#[test]
fn escapes_names_from_files() {
    let folder = folder();
    let recipe = lenet(folder.path()).args(["train", "--print-recipe", "--epochs", "1"]).output().unwrap();
    let recipe = String::from_utf8(recipe.stdout).unwrap();
    let recipe = recipe.replace("\"default\"", r#"'<script>"&amp;"</script>'"#);
    fs::write(folder.path().join("bad.toml"), recipe).unwrap();
    let (_, page) = report(folder.path(), "--recipe bad.toml --checkpoint state");
    let name = "&lt;script&gt;&quot;&amp;amp;&quot;&lt;/script&gt;";
    assert!(page.contains(&format!("<dt>Recipe</dt><dd>{name}</dd>")), "{page}");
    assert!(between(&page, "<pre>", "</pre>")[0].contains(name), "{page}");

    // The name of the architecture is in the checkpoint.
    let path = folder.path().join("state/state.safetensors");
    let mut state = fs::read(&path).unwrap();
    let at = state.windows(6).position(|window| window == b"lenet5").unwrap();
    state[at..at + 6].copy_from_slice(b"<b>&</");
    fs::write(path, state).unwrap();
    let (_, page) = report(folder.path(), "--resume state --out net");
    assert!(page.contains("<h1>&lt;b&gt;&amp;&lt;/</h1>"), "{page}");
}

#[test]
fn resumed_training_reports_all_epochs() {
    let folder = folder();
    let (_, whole) = report(folder.path(), "--epochs 3 --threads 2 --holdout 5 --checkpoint state");
    let (_, resumed) = report(folder.path(), "--resume state --holdout 5");
    let epochs = |page| between(page, "<tbody>", "</tbody>")[1].to_owned();
    assert_eq!(epochs(&whole).matches("<tr>").count(), 3);
    assert_eq!(epochs(&whole), epochs(&resumed));
    assert!(resumed.contains("5 validation images"));
}

#[test]
fn renders_a_training_evaluated_once_and_without_mistakes() {
    let folder = folder();
    for name in ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"] {
        let path = folder.path().join("data").join(name);
        let mut labels = fs::read(&path).unwrap();
        labels[8..].fill(1);
        fs::write(path, labels).unwrap();
    }
    let (result, page) = report(folder.path(), "--epochs 20 --eval-schedule last");
    assert_eq!(result["test_accuracy"], 1.0);
    assert!(page.contains("There are none."));
    assert_eq!(page.matches("<circle class=\"measured\"").count(), 1);
    assert_eq!(page.matches("<td>-</td>").count(), 19);
}
