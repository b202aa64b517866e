//! `lenet train --recipe` and `--print-recipe`.

use std::{fs, path::Path};

use lenet::nn::{Dropout, Layer};
use snapbox::{cmd::Command, str};

use crate::{error, folder, lenet};

/// Returns the command `lenet train --print-recipe`, run in `folder` with more arguments.
fn print_recipe(folder: &Path, arguments: &str) -> Command {
    lenet(folder).args(["train", "--print-recipe"]).args(arguments.split_whitespace())
}

/// A recipe with all optional keys, one of the schedules and one of the optimizers.
const FULL: &str = r#"
name = "mine"
epochs = 4
batch_size = 10
warmup = 0.1
label_smoothing = 0.05
ema = 0.9
dropout = 0.3

[schedule.OneCycle]
pct_start = 0.3
div_factor = 25
final_div_factor = 1e4

[normalize]
mean = 0.5
std = 0.5

[optimizer.AdamW]
lr = 0.003
weight_decay = 0.05
"#;

#[test]
fn prints_the_effective_recipe() {
    let folder = folder();
    print_recipe(folder.path(), "--epochs 3 --batch-size 50").assert().success().stderr_eq("").stdout_eq(
        str![[r#"
name = "default"
epochs = 3
batch_size = 50
warmup = 0.0
label_smoothing = 0.0
ema = 0.0
schedule = "Cosine"

[normalize]
mean = 0.1307
std = 0.3081

[optimizer.Adam]
lr = 0.002

"#]],
    );
    print_recipe(folder.path(), "cnn --recipe tutorial").assert().success().stdout_eq(str![[r#"
name = "tutorial"
...
schedule = "Constant"

[normalize]
mean = 0.0
std = 128.0

[optimizer.Adam]
lr = 0.01

"#]]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn printed_recipe_can_be_read_back_and_trained_with() {
    let folder = folder();
    fs::write(folder.path().join("full.toml"), FULL).unwrap();
    let printed = |arguments| {
        let printed = print_recipe(folder.path(), arguments).assert().success().get_output().stdout.clone();
        fs::write(folder.path().join("printed.toml"), &printed).unwrap();
        String::from_utf8(printed).unwrap()
    };
    for arguments in [
        "",
        "mlp --recipe tutorial",
        "--recipe full.toml",
        "--recipe fast",
        "mlp --recipe best",
        "--recipe best",
        "vgg --recipe best",
    ] {
        assert_eq!(printed(arguments), printed("--recipe printed.toml"));
    }
    let train = ["train", "--data", "data", "--recipe", "full.toml", "--epochs", "2"];
    lenet(folder.path()).args(train).assert().success().stderr_eq("");
    let bytes = fs::read(folder.path().join("lenet5.safetensors")).unwrap();
    let (_, provenance) = lenet::weights::from_bytes(&bytes).unwrap();
    assert_eq!(toml::to_string(&provenance.recipe).unwrap(), printed("--recipe full.toml --epochs 2"));
}

#[test]
fn dropout_of_the_recipe_overrides_that_of_the_architecture() {
    let folder = folder();
    let recipe = FULL.replace("dropout = 0.3", "dropout = 0.75").replace("epochs = 4", "epochs = 1");
    fs::write(folder.path().join("my.toml"), recipe).unwrap();
    let train = ["train", "cnn", "--data", "data", "--recipe", "my.toml"];
    lenet(folder.path()).args(train).assert().success();
    let bytes = fs::read(folder.path().join("cnn.safetensors")).unwrap();
    let (network, _) = lenet::weights::from_bytes(&bytes).unwrap();
    let expected = Layer::from(Dropout::new(0.75));
    assert!(network.architecture().summary().unwrap().iter().any(|row| *row.layer == expected));
}

#[test]
fn errors_name_the_file_the_line_and_the_key() {
    let folder = folder();
    for (from, to, expected) in [
        ("epochs = 4", "epochs = 'x'", "line 3, epochs = 'x': invalid type: string \"x\", expected usize"),
        ("epochs = 4", "epochs = 0", "line 3: epochs: expected 1 to 100000, found 0"),
        ("epochs = 4", "", "missing field `epochs`"),
        ("epochs = 4", "epochs = 4\nepochs = 5", "line 4, epochs = 5: duplicate key"),
        ("ema", "emma", "line 7, emma = 0.9: unknown field `emma`, expected one of "),
        ("ema = 0.9", "ema = 1", "line 7: ema: expected at least 0 and below 1, found 1"),
        ("dropout = 0.3", "dropout = 1.0", "line 8: dropout: expected at least 0 and below 1, found 1"),
        ("0.05\n", "5\n", "line 6: label_smoothing: expected at least 0 and below 1, found 5"),
        ("OneCycle", "Circle", "line 10, [schedule.Circle]: unknown variant `Circle`, expected one of "),
        ("pct_start = 0.3", "pct_start = 3", "line 11: pct_start: expected at least 0 and below 1, found 3"),
        (
            "std = 0.5",
            "std = 0",
            "line 15: normalize: expected a mean and a positive std that keep pixels finite",
        ),
        ("lr = 0.003", "lr = nan", "line 20: lr: expected a positive number, found NaN"),
        ("lr = 0.003", "", "line 19, [optimizer.AdamW]: missing field `lr`"),
        ("lr = 0.003", "rate = 1\u{7}", "line 20, rate = 1: "),
        ("weight_decay", "momentum", "line 21, momentum = 0.05: unexpected keys in table: momentum"),
        ("[normalize]", "[[[[\"", "line 15, [[[[\": "),
    ] {
        fs::write(folder.path().join("my.toml"), FULL.replacen(from, to, 1)).unwrap();
        let found = error(print_recipe(folder.path(), "--recipe my.toml"));
        assert!(found.starts_with(&format!("my.toml: {expected}")), "expected {expected}, found {found}");
    }
    fs::write(folder.path().join("my.toml"), b"name = '\xff'").unwrap();
    let found = error(print_recipe(folder.path(), "--recipe my.toml"));
    assert!(found.starts_with("my.toml: content: expected UTF-8 text: invalid utf-8"), "{found}");
    let found = error(print_recipe(folder.path(), "--recipe none"));
    assert_eq!(found, "none: expected default, fast, best, tutorial or a file, found none of them");
    let found = error(print_recipe(folder.path(), "--recipe data"));
    assert!(found.starts_with("data: could not be read: "), "{found}");
}
