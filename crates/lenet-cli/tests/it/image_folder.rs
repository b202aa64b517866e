//! `--data` with a folder of image files for each digit, and fine-tuning with `lenet train --init`.

use std::{fs, path::Path};

use image::{GrayImage, Luma};
use lenet::{pretrained, weights};
use serde_json::Value;
use snapbox::{cmd::Command, str};
use tempfile::TempDir;

use crate::{error, lenet};

/// Draws a closed polygon through `points`, in percent of the side, dark on light or (`inverted`) light on dark.
fn draw_polygon(points: &[[f32; 2]], side: u32, inverted: bool) -> GrayImage {
    let (paper, ink) = if inverted { (30, 220) } else { (225, 40) };
    let place = |[x, y]: [f32; 2]| [x * side as f32 / 100.0, y * side as f32 / 100.0];
    GrayImage::from_fn(side, side, |x, y| {
        let next = points.iter().cycle().skip(1);
        let near = points.iter().zip(next).any(|(&a, &b)| {
            let ([ax, ay], [bx, by]) = (place(a), place(b));
            let ((dx, dy), (px, py)) = ((bx - ax, by - ay), (x as f32 - ax, y as f32 - ay));
            let along = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            (px - along * dx).hypot(py - along * dy) < side as f32 / 22.0
        });
        Luma([if near { ink } else { paper }])
    })
}

/// Creates a folder with images of two digits in its subfolder `mine`: a 1 drawn as a bar, and a 4 drawn as a triangle.
pub fn folder_with_images() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for (digit, points) in
        [("1", &[[52.0, 20.0], [48.0, 80.0]][..]), ("4", &[[50.0, 15.0], [20.0, 75.0], [80.0, 75.0]])]
    {
        let images = folder.path().join("mine").join(digit);
        fs::create_dir_all(&images).unwrap();
        for number in 0..12 {
            let points: Vec<_> = points.iter().map(|point| point.map(|at| at + 8.0 * random.f32())).collect();
            draw_polygon(&points, random.u32(28..120), number % 3 == 0)
                .save(images.join(format!("{number:02}.png")))
                .unwrap();
        }
    }
    folder
}

fn train(folder: &Path, arguments: &str) -> Command {
    lenet(folder).args(["train", "--data", "mine", "--threads", "2"]).args(arguments.split_whitespace())
}

fn network(folder: &Path, name: &str) -> (lenet::nn::Network, weights::Provenance) {
    weights::from_bytes(&fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn fine_tuning_on_a_few_images_learns_an_unusual_style() {
    let folder = folder_with_images();
    train(folder.path(), "--init lenet5 --epochs 5").assert().success().stderr_eq("").stdout_eq(str![[r#"
lenet5: 61706 parameters of lenet5, 20 training images, 4 test images, threads: 2
epoch  1/5: [..]
...
test accuracy 100.00% (95% interval [..]% to 100.00%), 4 of 4
saved lenet5.safetensors after 5 of 5 epochs, [..] s

"#]]);
    let (network, provenance) = network(folder.path(), "lenet5.safetensors");
    assert_eq!(provenance.init_from.as_deref(), Some("lenet5"));
    assert_eq!(network.temperature(), pretrained::lenet5().0.temperature());

    let recognize = ["recognize", "--weights", "lenet5.safetensors", "--json", "mine"];
    let output = lenet(folder.path()).args(recognize).assert().success().stderr_eq("");
    let output = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert_eq!(output.lines().count(), 24);
    for line in output.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let path = Path::new(object["path"].as_str().unwrap());
        assert!(path.parent().unwrap().ends_with(object["text"].as_str().unwrap()), "{line}");
    }
}

#[test]
fn warns_about_unusable_files_and_leaves_them_out() {
    let folder = folder_with_images();
    let mine = folder.path().join("mine");
    GrayImage::from_pixel(40, 40, Luma([200])).save(mine.join("1/00.png")).unwrap();
    fs::write(mine.join("4/notes.txt"), "of last summer").unwrap();
    fs::write(mine.join("4/.hidden"), "").unwrap();
    fs::write(mine.join("README"), "").unwrap();
    // The test split has the last sixth of each digit: 2 of 12 and 3 of 13 files, among them notes.txt.
    let failed = "left out: mine/1/00.png: blank\nleft out: mine/4/notes.txt: format: expected PNG, [..]\n";
    lenet(folder.path()).args(["show", "--data", "mine"]).assert().success().stderr_eq(failed).stdout_eq(
        str![[r#"
(19, 28, 28) (19,) (4, 28, 28) (4,)

digit      0      1      2      3      4      5      6      7      8      9
train      0      9      0      0     10      0      0      0      0      0
test       0      2      0      0      2      0      0      0      0      0

"#]],
    );

    // A single image of a digit is a training image, so there are no test images.
    for (digit, keep) in [("1", "01.png"), ("4", "01.png")] {
        for entry in fs::read_dir(mine.join(digit)).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with(keep) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    assert_eq!(
        error(train(folder.path(), "--epochs 1")),
        "mine: images: expected at least 2 of a digit, the last of which is a test image, found none"
    );
    // The order of the images mixes the digits, so that both splits have some of each.
    train(folder.path(), "--epochs 1 --holdout 1").assert().success();
    fs::remove_file(mine.join("1/01.png")).unwrap();
    fs::remove_file(mine.join("4/01.png")).unwrap();
    assert_eq!(
        error(train(folder.path(), "--epochs 1")),
        "mine: images: expected at least 1 to train on, found none"
    );
}

#[test]
fn init_starts_from_the_weights_also_after_resuming() {
    let folder = folder_with_images();
    let recipe = |rate: &str, more: &str| {
        format!(
            "name = 'mine'\nepochs = 2\nbatch_size = 8\nschedule = 'Constant'\n{more}\n[normalize]\nmean = 0.1307\n\
             std = 0.3081\n[optimizer.Adam]\nlr = {rate}\n"
        )
    };
    // At a learning rate near 0 the learned parameters stay the same, and only the running averages adapt to the new images.
    fs::write(folder.path().join("still.toml"), recipe("1e-30", "")).unwrap();
    train(folder.path(), "--init vgg --recipe still.toml --out still").assert().success();
    let (still, shipped) = (network(folder.path(), "still").0, pretrained::vgg().0);
    for (after, before) in still.tensors().zip(shipped.tensors()) {
        assert_eq!(after.values == before.values, !after.name.contains("running"), "{}", after.name);
    }

    // A checkpoint has all of that, and the moving average of the weights.
    fs::write(folder.path().join("average.toml"), recipe("1e-3", "ema = 0.9")).unwrap();
    train(folder.path(), "--init still --recipe average.toml --out whole --checkpoint state")
        .assert()
        .success();
    let resume = ["train", "--data", "mine", "--resume", "state", "--out", "resumed"];
    lenet(folder.path()).args(resume).assert().success();
    assert!(
        fs::read(folder.path().join("whole")).unwrap() == fs::read(folder.path().join("resumed")).unwrap()
    );
    let (resumed, provenance) = network(folder.path(), "resumed");
    assert_eq!(provenance.init_from.as_deref(), Some("still"));
    assert_eq!(resumed.temperature(), shipped.temperature());
}

#[test]
fn init_determines_architecture_and_normalization() {
    let folder = folder_with_images();
    train(folder.path(), "mlp --recipe tutorial --epochs 1 --out unit").assert().success();
    assert_eq!(network(folder.path(), "unit").0.normalization(), lenet::nn::Normalize::UNIT);
    train(folder.path(), "--init unit --epochs 1 --out more").assert().success();
    let (more, provenance) = network(folder.path(), "more");
    assert_eq!((more.architecture().name(), more.normalization()), ("mlp", lenet::nn::Normalize::UNIT));
    assert_eq!(
        (provenance.recipe.name.as_str(), provenance.recipe.normalize),
        ("default", lenet::nn::Normalize::UNIT)
    );

    let recipe = lenet(folder.path()).args(["train", "--print-recipe"]).output().unwrap().stdout;
    fs::write(folder.path().join("default.toml"), recipe).unwrap();
    train(folder.path(), "--init unit --epochs 1 --holdout 4 --out twin").assert().success();
    train(folder.path(), "--init unit --epochs 1 --calibrate-from twin").assert().success();
    for (arguments, wrong) in [
        ("vgg --init unit", "unit: architecture: expected vgg, found mlp"),
        (
            "--init unit --recipe default.toml",
            "normalize: expected the network's Normalize { mean: 0.0, std: 1.0 }, found [..]",
        ),
        ("--init none", "none: could not be read: [..]"),
        ("--init default.toml", "default.toml: content: expected a safetensors file: [..]"),
        ("--init more --epochs 1 --calibrate-from twin", "twin: --init: expected more, found unit"),
    ] {
        snapbox::assert_data_eq!(error(train(folder.path(), arguments)), wrong);
    }
    // --architecture describes the file of --init, so it is useless without it.
    train(folder.path(), "--architecture mlp").assert().code(2);
    let resume = ["train", "--resume", "state", "--init", "unit"];
    lenet(folder.path()).args(resume).assert().code(2);
}

#[test]
fn folders_named_train_and_test_are_the_splits() {
    for (train_name, test_name) in [("train", "test"), ("training", "testing")] {
        let folder = folder_with_images();
        let root = folder.path().join("splits");
        fs::create_dir(&root).unwrap();
        fs::rename(folder.path().join("mine"), root.join(train_name)).unwrap();
        let test_digit = root.join(test_name).join("4");
        fs::create_dir_all(&test_digit).unwrap();
        fs::rename(root.join(train_name).join("4/00.png"), test_digit.join("00.png")).unwrap();
        let show = lenet(folder.path()).args(["show", "--data", "splits"]).output().unwrap();
        let shapes = String::from_utf8(show.stdout).unwrap();
        assert!(shapes.starts_with("(23, 28, 28) (23,) (1, 28, 28) (1,)\n"), "{shapes}");
        fs::remove_dir_all(root.join(test_name)).unwrap();
        let message = error(lenet(folder.path()).args(["show", "--data", "splits"]));
        assert_eq!(message, "splits: expected a folder test or testing with folders 0 to 9, found neither");
    }
}
