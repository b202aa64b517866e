//! `lenet tutorial`

use snapbox::str;

use crate::{folder, lenet};

#[test]
fn prints_each_epoch_beside_the_published_figure() {
    let folder = folder();
    let tutorial = |arguments: &[&str]| {
        lenet(folder.path()).args(["tutorial", "--data", "data"]).args(arguments).assert()
    };
    tutorial(&["lenet5"]).success().stdout_eq(str![[r#"
lenet5
EpochMetrics 0: model accuracy [..]%   published 89.46%   on test images [..]%
EpochMetrics 1: model accuracy [..]%   published 93.14%   on test images [..]%
EpochMetrics 2: model accuracy [..]%   published 94.69%   on test images [..]%
EpochMetrics 3: model accuracy [..]%   published 95.84%   on test images [..]%
EpochMetrics 4: model accuracy [..]%   published 96.43%   on test images [..]%
EpochMetrics 5: model accuracy [..]%   published 96.99%   on test images [..]%
EpochMetrics 6: model accuracy [..]%   published 97.14%   on test images [..]%
EpochMetrics 7: model accuracy [..]%   published 97.66%   on test images [..]%
EpochMetrics 8: model accuracy [..]%   published 98.05%   on test images [..]%
EpochMetrics 9: model accuracy [..]%   published 98.22%   on test images [..]%

The tutorial builds its test set with train=True, so the accuracies that it
publishes are on the images that it trained on; those on the real test images
stand in the last column.
Its Normalize((0,), (128,)) is meant for bytes but divides pixels that are
between 0 and 1 already, so the two convolutional networks see inputs of at
most 0.0078, which is why its CNN stops at 88.75% and varies by tens of points
from seed to seed.

"#]]);
    tutorial(&["mlp", "--seeds", "2"]).success().stdout_eq(str![[r#"
mlp, seed 0
EpochMetrics 0: model accuracy [..]%   published 84.11%   on test images [..]%
...
EpochMetrics 9: model accuracy [..]%   published 91.96%   on test images [..]%

mlp, seed 1
EpochMetrics 0: model accuracy [..]%   published 84.11%   on test images [..]%
...
"#]]);
    tutorial(&["--seeds", "0"]).code(2);
    tutorial(&["resnet"]).code(2);
}
