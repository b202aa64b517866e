//! `lenet tutorial`

use snapbox::str;

use crate::{folder, lenet};

#[test]
fn prints_each_epoch_beside_the_published_accuracy() {
    let folder = folder();
    let tutorial = |arguments: &[&str]| {
        lenet(folder.path()).args(["tutorial", "--data", "data"]).args(arguments).assert()
    };
    tutorial(&["lenet5"]).success().stdout_eq(str![[r#"
lenet5
Epoch 0: model accuracy [..]%   published 89.46%   on test images [..]%
Epoch 1: model accuracy [..]%   published 93.14%   on test images [..]%
Epoch 2: model accuracy [..]%   published 94.69%   on test images [..]%
Epoch 3: model accuracy [..]%   published 95.84%   on test images [..]%
Epoch 4: model accuracy [..]%   published 96.43%   on test images [..]%
Epoch 5: model accuracy [..]%   published 96.99%   on test images [..]%
Epoch 6: model accuracy [..]%   published 97.14%   on test images [..]%
Epoch 7: model accuracy [..]%   published 97.66%   on test images [..]%
Epoch 8: model accuracy [..]%   published 98.05%   on test images [..]%
Epoch 9: model accuracy [..]%   published 98.22%   on test images [..]%

The tutorial creates its test set with train=True, so its published accuracies
are those on the training images. The last column has the accuracy on the test
images.
Its Normalize((0,), (128,)) is meant for bytes, but the pixels are already
between 0 and 1. The inputs of the two convolutional networks are therefore at
most 0.0078, which is why the tutorial's CNN stops at 88.75% and varies by tens
of percentage points from seed to seed.

"#]]);
    tutorial(&["mlp", "--seeds", "2"]).success().stdout_eq(str![[r#"
mlp, seed 0
Epoch 0: model accuracy [..]%   published 84.11%   on test images [..]%
...
Epoch 9: model accuracy [..]%   published 91.96%   on test images [..]%

mlp, seed 1
Epoch 0: model accuracy [..]%   published 84.11%   on test images [..]%
...
"#]]);
    tutorial(&["--seeds", "0"]).code(2);
    tutorial(&["resnet"]).code(2);
}
