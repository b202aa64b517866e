//! What comes out of the crate is MNIST to the last bit.

use lenet::{Dataset, data::idx};
use md5::{Digest, Md5};

/// The MD5 sums of the two IDX files that hold `dataset`.
fn sums(dataset: &Dataset) -> [String; 2] {
    [idx::write_images(dataset.images()), idx::write_labels(dataset.labels())]
        .map(|file| Md5::digest(file).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[test]
fn train_is_canonical() {
    let expected = ["6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"];
    assert_eq!(sums(&lenet_mnist::train()), expected);
}

#[test]
fn test_is_canonical() {
    let expected = ["2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"];
    assert_eq!(sums(&lenet_mnist::test()), expected);
}
