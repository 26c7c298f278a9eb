"""Launches every kernel of the catalogue once or more, small: ``python tests/gpu/every_kernel.py [cuda|cudasim]``.

It is what `sanitize.sh` has compute-sanitizer watch. What was launched is compared with the catalogue; the exit code is 1
where something of it was not.
"""

import sys
from contextlib import contextmanager

from minigen_kernels.cuda import ladder, running
from minigen_kernels.cuda.catalogue import catalogue

import minigen as mg
from minigen import nn
from minigen.optim import SGD, Adam, ExponentialMovingAverage, RMSprop


def identity(kernel):
    """What makes two kernels the same code but for sizes: file, function, parameters, and yes-or-no constants."""
    function = kernel.function
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())
    flags = tuple((name, cell.cell_contents) for name, cell in cells if isinstance(cell.cell_contents, bool))
    return function.__module__, function.__name__, kernel.parameters, flags


@contextmanager
def launches():
    """The identities of the kernels that run in a `with` block, on a GPU or simulated."""
    found, launch, simulate = set(), running.launch, running.simulate

    def noting(call):
        return lambda kernel, *rest, **options: found.add(identity(kernel)) or call(kernel, *rest, **options)

    running.launch, running.simulate = noting(launch), noting(simulate)
    try:
        yield found
    finally:
        running.launch, running.simulate = launch, simulate


def climb(device):
    """Every rung of the ladder, with several blocks, tiles that hang over the edge, and channels in fours."""
    noise = mg.Generator(0)
    x, w = (device.asarray(noise.normal(shape)) for shape in ((1, 8, 3, 5), (12, 8, 2, 2)))
    for rung in ladder.RUNGS:
        ladder.conv2d(x, w, (1, 2), (1, 0, 1, 0), (1, 1), rung=rung, run=running.run)


def convolve(device, precision, dtype="float32"):
    """The three convolutions: many channels, from three and to three, and depthwise; with a bias, a stride and edges."""
    mg.set_float32_precision(precision)
    noise = mg.Generator(1)
    for ins, outs, groups in ((16, 20, 1), (3, 16, 1), (8, 3, 1), (8, 8, 8)):
        layer = nn.Conv2d(ins, outs, 3, 2, 1, groups=groups).to(device, dtype)
        x = mg.randn(6, ins, 3, 4, generator=noise, device=device).to(dtype).requires_grad_()
        layer(x).sum().backward()
    a, b = (mg.randn(*shape, generator=noise, device=device).to(dtype) for shape in ((9, 33), (33, 17)))
    a @ b
    mg.set_float32_precision("ieee")


def pass_over_memory(device):
    """Batch norm, activations, dropout, sums, cross-entropy, and random bits."""
    noise = mg.Generator(2)
    network = nn.Sequential(nn.BatchNorm1d(6), nn.LeakyReLU(0.3), nn.Dropout(0.4)).to(device)
    x = mg.randn(70, 6, generator=noise, device=device).requires_grad_()
    network(x).sum().backward()
    nn.Sequential(nn.ReLU(), nn.Dropout(0.4)).to(device)(x).sum().backward()
    nn.Dropout2d(0.4).to(device)(x.reshape(5, 6, 2, 7))
    device.kernels.activation.activate_and_drop(x.data, 0.3, 0.0, device.key(noise))
    logits = mg.randn(20, 7, generator=noise, device=device).requires_grad_()
    mg.functional.binary_cross_entropy_with_logits(logits, mg.rand(20, 7, generator=noise, device=device)).backward()
    device.kernels.sums.column_sums(mg.randn(90, 5, generator=noise, device=device).data)


def step(device):
    """Every optimizer's update, and the running average of the weights."""
    layer = nn.Linear(5, 9).to(device)
    optimizers = [
        SGD(layer.parameters(), lr=0.1, momentum=0.9),
        Adam(layer.parameters(), lr=0.01),
        RMSprop(layer.parameters(), lr=0.01, momentum=0.9, centered=True),
    ]
    average = ExponentialMovingAverage(layer)
    for optimizer in optimizers:
        optimizer.zero_grad()
        layer(mg.ones(2, 5, device=device)).sum().backward()
        optimizer.step()
        average.update()


def main(name):
    """Launch everything. Returns the exit code."""
    device = mg.device(name)
    if name == "cuda":
        device.xp.cuda.set_allocator(
            None
        )  # no pool: every array has memory of its own, so what lies beyond it is nobody's
    with launches() as found:
        climb(device)
        for precision in ("ieee", "tf32"):
            convolve(device, precision)
        convolve(device, "ieee", "float64")
        pass_over_memory(device)
        step(device)
    missing = [kernel for kernel, made in catalogue().items() if identity(made) not in found]
    if name == "cuda":
        device.xp.cuda.Device().synchronize()
    print(f"{len(found)} kernels launched on {name}; of the catalogue, missing: {', '.join(missing) or 'none'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["cuda"])))
