"""Writes goldens.safetensors: PyTorch's results for weights, images and gradients that a formula defines.

    python goldens.py          # torch 2.15, safetensors, numpy

Results are computed in float64 and stored as float32. src/tests/golden.rs repeats the formula and compares the naive
implementations and the engine with the results. Names in the file:

    layers/LAYER/{y,dx,weight,bias}     output and gradients of a layer, with ties between inputs and overlapping windows
    MODEL/{logits,loss}                 results for 16 images with the labels 0..9, 0..5
    MODEL/TENSOR                        gradient of the loss with respect to a parameter; of a large tensor the elements at
                                        MODEL/TENSOR/index, its Euclidean norm MODEL/TENSOR/norm and its largest magnitude
                                        MODEL/TENSOR/max
    batchnorm/{loss,TENSOR}             loss and gradients of a network with batch normalization in training
    batchnorm/running/TENSOR            its buffers after that step
    batchnorm/logits                    its logits in inference with these buffers
    dense/...                           the same for a network that predicts a label of each pixel
    TARGETS/{loss,gradient}             cross-entropy with target probabilities or label smoothing, or binary cross-entropy
    optim/OPTIMIZER                     (step, parameter): parameters after each of ten steps
    schedules/SCHEDULE                  (step): learning rates relative to that of the optimizer
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

IMAGES = 16
SAMPLED_ELEMENTS = 1024  # of a tensor with more than MAX_STORED_ELEMENTS
MAX_STORED_ELEMENTS = 50_000


def mix(x):
    """Hashes uint32s: lowbias32 of Chris Wellons' hash-prospector (https://github.com/skeeto/hash-prospector)."""
    x = (x ^ x >> 16) * np.uint32(0x7FEB352D)
    x = (x ^ x >> 15) * np.uint32(0x846CA68B)
    return x ^ x >> 16


def bits(stream, count):
    """Returns `count` random uint32s, different for each stream."""
    return mix(np.arange(count, dtype=np.uint32) + mix(np.array([stream], np.uint32)))


def uniform(stream, *shape):
    """Returns multiples of 2^-23 in [-1, 1), which are exact in float32."""
    return ((bits(stream, np.prod(shape)) >> 8) / 2**23 - 1).reshape(shape)


def images():
    """Returns images (16, 28, 28) of uint8: rings of noise on black."""
    row, column, radius = (bits(100, IMAGES * 3).astype(int) % 6).reshape(IMAGES, 3, 1, 1).swapaxes(0, 1)
    y, x = np.ogrid[:28, :28]
    radius = radius + 4
    distance = (y - row - 11) ** 2 + (x - column - 11) ** 2 - radius**2
    noise = bits(101, IMAGES * 28 * 28).reshape(IMAGES, 28, 28) % 201 + 55
    return np.where(abs(distance) <= 2 * radius, noise, 0).astype(np.uint8)


def fill(model):
    """Sets the parameters of a model: tensor t of the state_dict is stream t, uniform in +-3/sqrt(fan_in).

    With PyTorch's bound, 1/sqrt(fan_in), the logits of LeNet-5 would be nearly equal for all images.
    """
    stream = 0
    for layer in model.modules():
        for tensor in layer.parameters(recurse=False):
            values = 3 * uniform(stream, *tensor.shape) / np.sqrt(layer.weight[0].numel())
            tensor.data = torch.tensor(values.astype(np.float32)).double()
            stream += 1
    return model


MODELS = {
    "mlp": OrderedDict(
        flatten=nn.Flatten(),
        layer1=nn.Linear(784, 784),
        relu=nn.ReLU(),
        layer2=nn.Linear(784, 10),
    ),
    "cnn": OrderedDict(
        conv=nn.Conv2d(1, 10, 5, padding=2),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(2, stride=1),
        flatten=nn.Flatten(),
        fc=nn.Linear(7290, 128),
        relu2=nn.ReLU(),
        output=nn.Linear(128, 10),
    ),
    "lenet5": OrderedDict(
        conv1=nn.Conv2d(1, 6, 5, padding=2),
        tanh1=nn.Tanh(),
        pool1=nn.AvgPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        tanh2=nn.Tanh(),
        pool2=nn.AvgPool2d(2),
        conv3=nn.Conv2d(16, 120, 5),
        tanh3=nn.Tanh(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(120, 84),
        tanh4=nn.Tanh(),
        fc2=nn.Linear(84, 10),
    ),
}

LAYERS = {
    "conv_stride_2": (nn.Conv2d(2, 3, 3, stride=2, padding=1), (3, 2, 5, 6)),
    "conv_padding_2": (nn.Conv2d(3, 2, 3, padding=2), (2, 3, 4, 3)),
    "conv_kernel_4": (nn.Conv2d(2, 3, 4, stride=2, padding=1), (2, 2, 6, 8)),
    "conv_dilation_2": (nn.Conv2d(4, 3, 3, dilation=2, padding=2), (2, 4, 6, 5)),
    "conv_dilation_3": (nn.Conv2d(3, 2, 2, stride=2, dilation=3, padding=3), (2, 3, 5, 6)),
    "pixel_shuffle_2": (nn.PixelShuffle(2), (2, 8, 3, 2)),
    "max_pool_2_1": (nn.MaxPool2d(2, stride=1), (2, 3, 4, 5)),
    "max_pool_3_2": (nn.MaxPool2d(3, stride=2), (3, 2, 7, 6)),
    "avg_pool_3_2": (nn.AvgPool2d(3, stride=2), (3, 2, 6, 7)),
    "avg_pool_2_3": (nn.AvgPool2d(2, stride=3), (2, 2, 8, 6)),
    "relu": (nn.ReLU(), (2, 3, 4, 5)),
}

DECAYED = 40  # the first of 64 parameters have weight decay

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=2.0),
}

STEPS = 40  # of a schedule
lr = torch.optim.lr_scheduler

SCHEDULES = {
    "cosine": lambda o: lr.CosineAnnealingLR(o, STEPS),
    "step": lambda o: lr.StepLR(o, STEPS // 4, gamma=0.3),
    "one_cycle": lambda o: lr.OneCycleLR(
        o, 1.0, STEPS, pct_start=0.3, div_factor=20, final_div_factor=2, cycle_momentum=False
    ),
    "warmup": lambda o: lr.SequentialLR(
        o, [lr.LinearLR(o, 1 / 8, total_iters=7), lr.CosineAnnealingLR(o, STEPS - 8)], milestones=[8]
    ),
}


def layer_goldens(name, layer, shape):
    """Inputs are whole numbers from -2 to 1, because then maxima tie and inputs of ReLU are 0."""
    x = torch.tensor(np.floor(2 * uniform(110, *shape)), requires_grad=True)
    y = fill(layer)(x)
    y.backward(torch.tensor(uniform(111, *y.shape)))
    yield f"layers/{name}/y", y
    yield f"layers/{name}/dx", x.grad
    for key, parameter in layer.named_parameters():
        yield f"layers/{name}/{key}", parameter.grad


def model_goldens(name, layers):
    model = fill(nn.Sequential(layers))
    logits = model(torch.tensor(images()[:, None] / 255))
    loss = nn.functional.cross_entropy(logits, torch.arange(IMAGES) % 10)
    loss.backward()
    yield f"{name}/logits", logits
    yield f"{name}/loss", loss
    for key, parameter in model.named_parameters():
        gradient = parameter.grad.flatten()
        if len(gradient) <= MAX_STORED_ELEMENTS:
            yield f"{name}/{key}", parameter.grad
        else:
            index = bits(120, SAMPLED_ELEMENTS) % np.uint32(len(gradient))
            yield f"{name}/{key}", gradient[index.astype(int)]
            yield f"{name}/{key}/index", index
            yield f"{name}/{key}/norm", gradient.norm()
            yield f"{name}/{key}/max", gradient.abs().max()


def training_goldens(name, layers, x, loss, biases_before_normalization):
    """Results of a step of training, and of inference after it. `loss` is a function of the logits.

    The gradient of a bias before a normalization is 0, because the normalization subtracts the bias.
    """
    model = fill(nn.Sequential(OrderedDict(layers))).double()
    value = loss(model(x))
    value.backward()
    yield f"{name}/loss", value
    for key, parameter in model.named_parameters():
        if key not in biases_before_normalization:
            yield f"{name}/{key}", parameter.grad
    for key, buffer in model.named_buffers():
        if not key.endswith("num_batches_tracked"):
            yield f"{name}/running/{key}", buffer
    yield f"{name}/logits", model.eval()(x)


def batchnorm_goldens():
    layers = dict(
        conv1=nn.Conv2d(1, 3, 5, stride=2),
        bn1=nn.BatchNorm2d(3),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(3, 5, 3, stride=2),
        bn2=nn.BatchNorm2d(5),
        tanh2=nn.Tanh(),
        flatten=nn.Flatten(),
        fc=nn.Linear(125, 10),
    )
    classes = torch.arange(IMAGES) % 10
    yield from training_goldens(
        "batchnorm",
        layers,
        torch.tensor(images()[:, None] / 255),
        lambda logits: nn.functional.cross_entropy(logits, classes),
        ("conv1.bias", "conv2.bias"),
    )


def dense_goldens():
    """The label of a pixel of the first four images is whether it is above 128."""
    layers = dict(
        conv1=nn.Conv2d(1, 5, 4, stride=2, padding=1),
        bn1=nn.BatchNorm2d(5),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(5, 4, 3, dilation=2, padding=2),
        shuffle=nn.PixelShuffle(2),
    )
    pixels = images()[:4, None]
    targets = torch.tensor((pixels > 128).astype(float))
    yield from training_goldens(
        "dense",
        layers,
        torch.tensor(pixels / 255),
        lambda logits: nn.functional.binary_cross_entropy_with_logits(logits, targets),
        ("conv1.bias",),
    )


def loss_goldens(name, loss):
    logits = torch.tensor(4 * uniform(130, IMAGES, 10), requires_grad=True)
    loss = loss(logits)
    loss.backward()
    yield f"{name}/loss", loss
    yield f"{name}/gradient", logits.grad


def optimizer_goldens(name, make):
    """Gradients shrink from 1 to 2^-31 along the vector, because Adam's epsilon matters for small gradients."""
    start = torch.tensor(uniform(140, 64))
    decayed, rest = nn.Parameter(start[:DECAYED].clone()), nn.Parameter(start[DECAYED:].clone())
    optimizer = make([decayed, rest])
    optimizer.add_param_group({"params": [optimizer.param_groups[0]["params"].pop()], "weight_decay": 0})
    trajectory = []
    for step in range(10):
        gradient = torch.tensor(uniform(141 + step, 64) * 0.5 ** (np.arange(64) % 32))
        decayed.grad, rest.grad = gradient[:DECAYED], gradient[DECAYED:]
        optimizer.step()
        trajectory.append(torch.cat([decayed, rest]).detach())
    yield f"optim/{name}", torch.stack(trajectory)


def schedule_goldens(name, make):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = make(optimizer), []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    yield f"schedules/{name}", torch.tensor(rates, dtype=torch.float64)


def goldens():
    for name, (layer, shape) in LAYERS.items():
        yield from layer_goldens(name, layer, shape)
    for name, layers in MODELS.items():
        yield from model_goldens(name, layers)
    yield from batchnorm_goldens()
    yield from dense_goldens()
    classes, soft = torch.arange(IMAGES) % 10, torch.tensor(uniform(131, IMAGES, 10) + 1)
    binary = soft / 2
    soft = soft / soft.sum(1, keepdim=True)
    cross_entropy = nn.functional.cross_entropy
    yield from loss_goldens("soft_targets", lambda z: cross_entropy(z, soft))
    yield from loss_goldens("smoothed_soft_targets", lambda z: cross_entropy(z, soft, label_smoothing=0.2))
    yield from loss_goldens("smoothed_classes", lambda z: cross_entropy(z, classes, label_smoothing=0.1))
    yield from loss_goldens("binary_targets", lambda z: nn.functional.binary_cross_entropy_with_logits(z, binary))
    for name, make in OPTIMIZERS.items():
        yield from optimizer_goldens(name, make)
    for name, make in SCHEDULES.items():
        yield from schedule_goldens(name, make)


def to_numpy(value):
    return value if isinstance(value, np.ndarray) else value.detach().numpy().astype(np.float32)


if __name__ == "__main__":
    torch.set_num_threads(1)  # a fixed order of summation
    save_file({name: to_numpy(value) for name, value in goldens()}, Path(__file__).with_suffix(".safetensors"))
