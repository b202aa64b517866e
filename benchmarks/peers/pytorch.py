"""PyTorch in three variants; `report.py` uses the fastest."""
import warnings

import torch
from torch.nn.functional import cross_entropy

import clock
from models import MODELS, load

warnings.filterwarnings("ignore")


def train(arguments, variant, images, labels):
    torch.manual_seed(0)
    model = MODELS[arguments.model]()
    if variant == "channels-last":
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    if arguments.model == "mlp":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
    run = torch.compile(model) if variant == "compile" else model
    order = iter(torch.randint(len(images), (1 << 16, clock.BATCH)))

    def step():
        batch = next(order)
        loss = cross_entropy(run(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    clock.train(variant, arguments.seconds, step)


def infer(arguments, images):
    eager = MODELS["lenet5"]().eval()
    script = torch.jit.freeze(torch.jit.script(eager))
    compiled = torch.compile(eager, dynamic=False)
    with torch.inference_mode():
        for batch in clock.BATCHES:
            x = images[:batch].clone()
            for variant, model in ("eager", eager), ("script", script), ("compile", compiled):
                clock.infer(variant, arguments.seconds, batch, lambda: model(x))


arguments = clock.arguments(MODELS)
torch.set_num_threads(arguments.threads)
if arguments.work == "train":
    for variant in "eager", "channels-last", "compile":
        train(arguments, variant, *load(arguments.data, "train"))
else:
    infer(arguments, load(arguments.data, "t10k")[0])
