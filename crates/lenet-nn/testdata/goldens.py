"""Writes goldens.safetensors: what PyTorch answers to weights, images and gradients that a formula makes.

    python goldens.py          # torch 2.15, safetensors, numpy

Computed in float64 and stored as float32. tests/it/golden.rs repeats the formula and compares. Names in the file:

    layers/LAYER/{y,dx,weight,bias}     one layer's output and gradients, where inputs tie and strides overlap
    MODEL/{logits,loss}                 on 16 images with the labels 0..9, 0..5
    MODEL/TENSOR                        the loss's gradient of a parameter; if sampled, its entries at MODEL/TENSOR/index,
                                        with the whole tensor's Euclidean norm and largest magnitude beside them
    batchnorm/{loss,TENSOR}             of a network with batch normalisation in training, and its gradient of a parameter
    batchnorm/running/TENSOR            its buffers after that step
    batchnorm/logits                    in inference with these
    TARGETS/{loss,gradient}             cross-entropy with rows of probabilities, or with label smoothing
    optim/OPTIMIZER                     (step, parameter): parameters after each of ten steps
    schedules/SCHEDULE                  (step): learning rates, where 1 is the optimiser's own
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

IMAGES = 16
SAMPLES = 1024  # entries kept of a tensor larger than WHOLE
WHOLE = 50_000


def mix(x):
    """Scrambles uint32s: lowbias32 of Chris Wellons' hash-prospector."""
    x = (x ^ x >> 16) * np.uint32(0x7FEB352D)
    x = (x ^ x >> 15) * np.uint32(0x846CA68B)
    return x ^ x >> 16


def bits(stream, count):
    """`count` uint32s, different for each stream."""
    return mix(np.arange(count, dtype=np.uint32) + mix(np.array([stream], np.uint32)))


def uniform(stream, *shape):
    """Multiples of 2^-23 in [-1, 1): exact in float32."""
    return ((bits(stream, np.prod(shape)) >> 8) / 2**23 - 1).reshape(shape)


def images():
    """(16, 28, 28) uint8: rings of noise on black."""
    row, column, radius = (bits(100, IMAGES * 3).astype(int) % 6).reshape(IMAGES, 3, 1, 1).swapaxes(0, 1)
    y, x = np.ogrid[:28, :28]
    radius = radius + 4
    distance = (y - row - 11) ** 2 + (x - column - 11) ** 2 - radius**2
    noise = bits(101, IMAGES * 28 * 28).reshape(IMAGES, 28, 28) % 201 + 55
    return np.where(abs(distance) <= 2 * radius, noise, 0).astype(np.uint8)


def fill(model):
    """Gives a model the formula's parameters: tensor t of the state_dict is stream t, uniform in +-3/sqrt(fan_in).

    PyTorch's own bound, 1/sqrt(fan_in), would leave LeNet-5's logits nearly the same for every image.
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
    "max_pool_2_1": (nn.MaxPool2d(2, stride=1), (2, 3, 4, 5)),
    "max_pool_3_2": (nn.MaxPool2d(3, stride=2), (3, 2, 7, 6)),
    "avg_pool_3_2": (nn.AvgPool2d(3, stride=2), (3, 2, 6, 7)),
    "avg_pool_2_3": (nn.AvgPool2d(2, stride=3), (2, 2, 8, 6)),
    "relu": (nn.ReLU(), (2, 3, 4, 5)),
}

DECAYED = 40  # of 64 parameters, the first

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
    """Inputs are whole numbers from -2 to 1, so that maxima tie and ReLU meets zero."""
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
        if len(gradient) <= WHOLE:
            yield f"{name}/{key}", parameter.grad
        else:
            index = bits(120, SAMPLES) % np.uint32(len(gradient))
            yield f"{name}/{key}", gradient[index]
            yield f"{name}/{key}/index", index
            yield f"{name}/{key}/norm", gradient.norm()
            yield f"{name}/{key}/max", gradient.abs().max()


def batchnorm_goldens():
    model = fill(nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, 3, 5, stride=2),
        bn1=nn.BatchNorm2d(3),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(3, 5, 3, stride=2),
        bn2=nn.BatchNorm2d(5),
        tanh2=nn.Tanh(),
        flatten=nn.Flatten(),
        fc=nn.Linear(125, 10),
    ))).double()
    x = torch.tensor(images()[:, None] / 255)
    loss = nn.functional.cross_entropy(model(x), torch.arange(IMAGES) % 10)
    loss.backward()
    yield "batchnorm/loss", loss
    for key, parameter in model.named_parameters():
        if key not in ("conv1.bias", "conv2.bias"):  # taken away again by the normalisation
            yield f"batchnorm/{key}", parameter.grad
    for key, buffer in model.named_buffers():
        if not key.endswith("num_batches_tracked"):
            yield f"batchnorm/running/{key}", buffer
    yield "batchnorm/logits", model.eval()(x)


def loss_goldens(name, targets, smoothing):
    logits = torch.tensor(4 * uniform(130, IMAGES, 10), requires_grad=True)
    loss = nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    loss.backward()
    yield f"{name}/loss", loss
    yield f"{name}/gradient", logits.grad


def optimizer_goldens(name, make):
    """Gradients shrink from 1 to 2^-31 along the vector, so that Adam's epsilon shows."""
    start = torch.tensor(uniform(140, 64))
    decayed, rest = nn.Parameter(start[:DECAYED].clone()), nn.Parameter(start[DECAYED:].clone())
    optimizer = make([decayed, rest])
    optimizer.add_param_group({"params": [optimizer.param_groups[0]["params"].pop()], "weight_decay": 0})
    path = []
    for step in range(10):
        gradient = torch.tensor(uniform(141 + step, 64) * 0.5 ** (np.arange(64) % 32))
        decayed.grad, rest.grad = gradient[:DECAYED], gradient[DECAYED:]
        optimizer.step()
        path.append(torch.cat([decayed, rest]).detach())
    yield f"optim/{name}", torch.stack(path)


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
    soft = torch.tensor(uniform(131, IMAGES, 10) + 1)
    soft /= soft.sum(1, keepdim=True)
    yield from loss_goldens("soft_targets", soft, 0)
    yield from loss_goldens("smoothed_soft_targets", soft, 0.2)
    yield from loss_goldens("smoothed_classes", torch.arange(IMAGES) % 10, 0.1)
    for name, make in OPTIMIZERS.items():
        yield from optimizer_goldens(name, make)
    for name, make in SCHEDULES.items():
        yield from schedule_goldens(name, make)


def stored(value):
    return value if isinstance(value, np.ndarray) else value.detach().numpy().astype(np.float32)


if __name__ == "__main__":
    torch.set_num_threads(1)  # a fixed order of summation
    save_file({name: stored(value) for name, value in goldens()}, Path(__file__).with_suffix(".safetensors"))
