//! `lenet adapt`: adapts a network to the handwriting of one person.

use std::{fs, path::Path};

use lenet::weights;
use snapbox::{cmd::Command, str};

use crate::{error, image_folder::folder_with_images, lenet};

fn adapt(folder: &Path, out: &str, arguments: &str) -> Command {
    lenet(folder).args(["adapt", "--out", out, "--threads", "2"]).args(arguments.split_whitespace())
}

#[test]
fn adaptation_learns_an_unusual_style_and_keeps_what_the_network_knew() {
    let folder = folder_with_images();
    adapt(folder.path(), "mine.safetensors", "--data mine --seed 5")
        .assert()
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
24 digits: [..] misread and [..] rejected before, [..] misread and [..] rejected after
10000 test images: accuracy 99.5[..]% before, 99.[..]% after
saved mine.safetensors

"#]]);
    let bytes = fs::read(folder.path().join("mine.safetensors")).unwrap();
    let (network, provenance) = weights::from_bytes(&bytes).unwrap();
    assert_eq!(network.architecture().name(), "handwriting");
    assert_eq!((provenance.init_from.as_deref(), provenance.seed), (Some("handwriting"), 5));
    assert_eq!(provenance.recipe.name, "adapt");
    assert!(provenance.test_accuracy > Some(0.99));

    // A triangle is a 4 now, and a bar is still a 1.
    let correct = |weights: &str| {
        let recognize = ["recognize", "--weights", weights, "--single", "--json", "mine"];
        let output = lenet(folder.path()).args(recognize).assert().success();
        let output = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        let is_correct = |line: &&str| {
            let reading: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = Path::new(reading["path"].as_str().unwrap());
            path.parent().unwrap().ends_with(reading["text"].as_str().unwrap())
        };
        output.lines().filter(is_correct).count()
    };
    assert!(correct("handwriting") < 20);
    assert_eq!(correct("mine.safetensors"), 24);

    adapt(folder.path(), "again.safetensors", "--data mine --seed 5").assert().success();
    assert!(fs::read(folder.path().join("again.safetensors")).unwrap() == bytes);
}

#[test]
fn adaptation_needs_ten_digits_and_a_network_for_digits() {
    let folder = folder_with_images();
    for digit in ["1", "4"] {
        for number in 4..12 {
            fs::remove_file(folder.path().join(format!("mine/{digit}/{number:02}.png"))).unwrap();
        }
    }
    for (arguments, message) in [
        ("--data mine", "number of digits: expected at least 10, found 8"),
        ("", "--data: expected labeled images, found none"),
        ("--data mine ink", "ink: network: expected an input of "),
        ("--data mine --rehearsal missing", "missing: expected a folder, a .csv or .npz file, or one of "),
    ] {
        let found = error(adapt(folder.path(), "mine.safetensors", arguments));
        assert!(found.starts_with(message), "expected {message}, found {found}");
    }
    assert!(!folder.path().join("mine.safetensors").exists());
}
