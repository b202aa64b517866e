//! `lenet summary` and `lenet models`

use std::path::Path;

use snapbox::{cmd::OutputAssert, str};

use crate::lenet;

fn summary(architecture: &str) -> OutputAssert {
    lenet(Path::new(".")).args(["summary", architecture]).assert()
}

#[test]
fn prints_the_layers_of_each_architecture() {
    summary("mlp").success().stdout_eq(str![[r#"
mlp

layer     type             output  parameters  multiply-adds
input                  (1, 28, 28)
flatten   Flatten      (784, 1, 1)
layer1    Linear       (784, 1, 1)     615,440        614,656
relu      ReLU         (784, 1, 1)
layer2    Linear        (10, 1, 1)       7,850          7,840
total                                  623,290        622,496

"#]]);
    summary("cnn").success().stdout_eq(str![[r#"
cnn

layer     type             output  parameters  multiply-adds
input                  (1, 28, 28)
conv      Conv2d      (10, 28, 28)         260        196,000
relu1     ReLU        (10, 28, 28)
pool      MaxPool2d   (10, 27, 27)
dropout   Dropout     (10, 27, 27)
flatten   Flatten     (7290, 1, 1)
fc        Linear       (128, 1, 1)     933,248        933,120
relu2     ReLU         (128, 1, 1)
output    Linear        (10, 1, 1)       1,290          1,280
total                                  934,798      1,130,400

"#]]);
    summary("vgg").success().stdout_eq(str![[r#"
vgg

layer     type             output  parameters  multiply-adds
input                  (1, 28, 28)
conv1     Conv2d      (20, 28, 28)         200        141,120
bn1       BatchNorm2d (20, 28, 28)          40
relu1     ReLU        (20, 28, 28)
conv2     Conv2d      (20, 28, 28)       3,620      2,822,400
bn2       BatchNorm2d (20, 28, 28)          40
relu2     ReLU        (20, 28, 28)
pool1     MaxPool2d   (20, 14, 14)
conv3     Conv2d      (40, 14, 14)       7,240      1,411,200
bn3       BatchNorm2d (40, 14, 14)          80
relu3     ReLU        (40, 14, 14)
conv4     Conv2d      (40, 14, 14)      14,440      2,822,400
bn4       BatchNorm2d (40, 14, 14)          80
relu4     ReLU        (40, 14, 14)
pool2     MaxPool2d     (40, 7, 7)
conv5     Conv2d        (80, 7, 7)      28,880      1,411,200
bn5       BatchNorm2d   (80, 7, 7)         160
relu5     ReLU          (80, 7, 7)
flatten   Flatten     (3920, 1, 1)
dropout   Dropout     (3920, 1, 1)
fc        Linear        (10, 1, 1)      39,210         39,200
total                                   93,990      8,647,520

"#]]);
    summary("lenet5").success().stdout_eq(str![[r#"
lenet5

layer     type             output  parameters  multiply-adds
input                  (1, 28, 28)
conv1     Conv2d       (6, 28, 28)         156        117,600
tanh1     Tanh         (6, 28, 28)
pool1     AvgPool2d    (6, 14, 14)
conv2     Conv2d      (16, 10, 10)       2,416        240,000
tanh2     Tanh        (16, 10, 10)
pool2     AvgPool2d     (16, 5, 5)
conv3     Conv2d       (120, 1, 1)      48,120         48,000
tanh3     Tanh         (120, 1, 1)
flatten   Flatten      (120, 1, 1)
fc1       Linear        (84, 1, 1)      10,164         10,080
tanh4     Tanh          (84, 1, 1)
fc2       Linear        (10, 1, 1)         850            840
total                                   61,706        416,520

"#]]);
    summary("ink").success().stdout_eq(str![[r#"
ink

layer     type             output  parameters  multiply-adds
input                  (1, 96, 96)
conv1     Conv2d      (24, 48, 48)         408        884,736
bn1       BatchNorm2d (24, 48, 48)          48
relu1     ReLU        (24, 48, 48)
conv2     Conv2d      (24, 48, 48)       5,208     11,943,936
bn2       BatchNorm2d (24, 48, 48)          48
relu2     ReLU        (24, 48, 48)
conv3     Conv2d      (24, 48, 48)       5,208     11,943,936
bn3       BatchNorm2d (24, 48, 48)          48
relu3     ReLU        (24, 48, 48)
conv4     Conv2d      (24, 48, 48)       5,208     11,943,936
bn4       BatchNorm2d (24, 48, 48)          48
relu4     ReLU        (24, 48, 48)
conv5     Conv2d      (24, 48, 48)       5,208     11,943,936
bn5       BatchNorm2d (24, 48, 48)          48
relu5     ReLU        (24, 48, 48)
conv6     Conv2d      (24, 48, 48)       5,208     11,943,936
bn6       BatchNorm2d (24, 48, 48)          48
relu6     ReLU        (24, 48, 48)
conv7     Conv2d       (8, 48, 48)       1,736      3,981,312
shuffle   PixelShuffle (2, 96, 96)
total                                   28,472     64,585,728

"#]]);
    summary("lenet4").code(2).stdout_eq("");
}

#[test]
fn lists_architectures_and_built_in_networks() {
    lenet(Path::new(".")).arg("models").assert().success().stderr_eq("").stdout_eq(str![[r#"
architecture parameters multiply-adds  weights         bytes  test accuracy  trained with
mlp             623,290       622,496  -                   -              -  (lenet train mlp)
cnn             934,798     1,130,400  -                   -              -  (lenet train cnn)
lenet5           61,706       416,520  lenet5        125,[..]         99.51%  recipe best, 80 epochs, seed 0
vgg              93,990     8,647,520  vgg           193,[..]         99.65%  recipe best, 30 epochs, seed 0
vgg_wide        251,242    25,109,952  handwriting   509,[..]         99.57%  recipe best, 30 epochs, seed 0
micro             5,082       302,072  micro          1[..]         99.[..]%  recipe best, 40 epochs, seed 0
ink              28,472    64,585,728  ink            6[..] [..]%  recipe best, [..] epochs, seed 0 (F1 of ink)
marks            14,517     1,159,680  marks          3[..] [..]%  recipe best, 12 epochs, seed 0

"#]]);
}
