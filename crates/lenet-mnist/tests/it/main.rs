//! The embedded dataset is MNIST bit by bit.

use lenet::{Dataset, SIDE, data::idx};
use md5::{Digest, Md5};

/// Returns the MD5 sums of the IDX files of `dataset`: images and labels.
fn md5_sums(dataset: &Dataset) -> [String; 2] {
    [idx::write_images(dataset.images(), SIDE, SIDE), idx::write_labels(dataset.labels())]
        .map(|file| Md5::digest(file).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn train_matches_the_published_md5_sums() {
    let expected = ["6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"];
    assert_eq!(md5_sums(&lenet_mnist::train()), expected);
}

#[test]
fn test_matches_the_published_md5_sums() {
    let expected = ["2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"];
    assert_eq!(md5_sums(&lenet_mnist::test()), expected);
}
