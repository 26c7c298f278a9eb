"""On a GPU nothing waits for it: every operation, layer, loss and training step, on the simulated GPU's arrays."""

import re

import numpy as np
import pytest

import minigen as mg
from minigen import losses, nn, optim
from minigen.device import why_unavailable
from minigen.functional.registry import OPERATIONS, from_generator
from minigen.nn.utils import clip_grad_norm_, clip_grad_value_, spectral_norm

pytestmark = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))

# an operation whose result has a size that values decide has to wait for them
WAITS = {"getitem/mask": "a mask"}


@pytest.fixture
def transfers():
    from minigen_kernels.cuda.simulator.tape import transfers

    return transfers


def results(function, arrays, options, device):
    """Values, gradients of the first order and gradients of a function of these, as NumPy's."""
    mg.manual_seed(0)
    inputs = [mg.tensor(array, device=device, requires_grad=True) for array in arrays]
    here = {name: moved(value, device) for name, value in options.items()}
    outputs = function(*inputs, **here)
    listed = [y for y in (outputs if isinstance(outputs, (tuple, list)) else [outputs]) if y.requires_grad]
    noise = mg.Generator(5)
    total = sum((y * mg.randn(*y.shape, generator=noise, dtype=y.dtype, device=y.device)).sum() for y in listed)
    first = mg.grad(total, inputs, create_graph=True, allow_unused=True)
    square = sum((g * g).sum() for g in first if g is not None and g.requires_grad)
    second = mg.grad(square, inputs, allow_unused=True) if isinstance(square, mg.Tensor) else []
    return [*listed, *first, *second]


def moved(value, device):
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    return value.to(device) if isinstance(value, mg.Tensor) else value


def assert_close(ours, expected, **tolerances):
    assert [y is None for y in ours] == [y is None for y in expected]
    for y, theirs in zip(ours, expected):
        if y is not None:
            np.testing.assert_allclose(y.numpy(), theirs.numpy(), **tolerances)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "to_device"])
def test_an_operation_and_its_derivatives_are_computed_on_the_gpu_without_waiting(name, transfers):
    for seed in range(2):
        arrays, options = OPERATIONS[name].recipe(from_generator(mg.Generator(seed)))
        expected = results(OPERATIONS[name].function, arrays, options, "cpu")
        with transfers() as found:
            ours = results(OPERATIONS[name].function, arrays, options, "cudasim")
        assert {str(y.device) for y in ours if y is not None} <= {"cudasim"}
        waits = found.to_host + found.synchronizations
        assert all(WAITS.get(name, "nothing") in wait for wait in waits), waits
        assert_close(ours, expected, rtol=1e-6, atol=1e-9)


LAYERS = {  # what makes them, the shape of their input, and the kind of it
    "Linear": (lambda: nn.Linear(3, 2), (4, 3)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3, 2, 1), (2, 2, 4, 4)),
    "Conv2d, reflected": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (1, 2, 3, 3)),
    "Conv2d, each channel alone": (lambda: nn.Conv2d(2, 2, 3, groups=2), (1, 2, 4, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 1, 4, 2, 1), (1, 2, 3, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (2, 3, 2, 2)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (2, 3, 2, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
    "Dropout": (lambda: nn.Dropout(0.5), (3, 4)),
    "Dropout2d": (lambda: nn.Dropout2d(0.5), (2, 3, 2, 2)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (2, 2, 5, 4)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False), (1, 2, 5, 4)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (1, 2, 2, 3)),
    "Upsample, bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 2, 3)),
    "Flatten": (lambda: nn.Flatten(), (2, 3, 2)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (2, 6)),
    "Identity": (lambda: nn.Identity(), (2, 2)),
    "spectral norm": (lambda: spectral_norm(nn.Linear(3, 2), generator=mg.Generator(0)), (4, 3)),
    "spectral norm of a convolution": (
        lambda: spectral_norm(nn.Conv2d(1, 2, 2), generator=mg.Generator(0)),
        (1, 1, 3, 3),
    ),
    "in a row": (lambda: nn.Sequential(nn.BatchNorm2d(2), nn.LeakyReLU(0.2), nn.Dropout(0.4)), (2, 2, 3, 2)),
    "activations": (
        lambda: nn.Sequential(
            nn.ReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.SiLU(), nn.Hardtanh(), nn.Softplus(), nn.Tanh(), nn.Sigmoid()
        ),
        (3, 4),
    ),
    "softmax": (lambda: nn.Sequential(nn.Softmax(1), nn.LogSoftmax(1)), (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_works_on_the_gpu_without_waiting_in_training_and_evaluation(name, transfers):
    make, shape = LAYERS[name]
    images, found = mg.Generator(0).normal(shape), {}
    for device in ("cpu", "cudasim"):
        mg.manual_seed(1)
        layer = make().to(device)
        x = mg.tensor(images, device=device, requires_grad=True)
        with transfers() as moved:
            outputs = [layer(x), layer.eval()(x)]
            mg.functional.square(outputs[0]).sum().backward()
        assert not moved.to_host + moved.synchronizations, moved
        found[device] = [*outputs, x.grad, *(p.grad for p in layer.parameters()), *layer.buffers()]
    assert_close(found["cudasim"], found["cpu"], rtol=1e-4, atol=1e-5)


def test_an_embedding_takes_positions_on_the_gpu_without_looking_at_them(transfers):
    layer, positions = nn.Embedding(5, 2).to("cudasim"), mg.tensor([[0, 4], [4, 2]], device="cudasim")
    with transfers() as found:
        layer(positions).sum().backward()
    assert not found.to_host + found.synchronizations + found.to_gpu
    assert layer.weight.grad[:, 0].tolist() == [1, 0, 1, 0, 2]
    with pytest.raises(mg.errors.ShapeError, match="from 0 to 4"):
        layer([5])
    with mg.detect_anomaly(), pytest.raises(mg.errors.ShapeError, match="from 0 to 4"):
        layer(positions + 1)


X, Y, IMAGES = (mg.Generator(seed).uniform(shape) for seed, shape in ((1, (4, 3)), (2, (4, 3)), (3, (2, 1, 12, 12))))
LOSSES = {
    **{
        f"{name} of the discriminator": (lambda r, f, gan=gan: gan.discriminator(r, f), X, Y)
        for name, gan in losses.GAN_LOSSES.items()
    },
    **{
        f"{name} of the generator": (lambda r, f, gan=gan: gan.generator(r, f), X, Y)
        for name, gan in losses.GAN_LOSSES.items()
    },
    **{
        f"{name} penalty": (lambda x, y, p=p: p(lambda x: mg.functional.tanh(x).sum(1), x, y, mg.Generator(0)), X, Y)
        for name, p in losses.GAN_PENALTIES.items()
    },
    "contractive": (lambda x: losses.contractive_penalty(mg.functional.tanh, x), X),
    "contractive estimate": (lambda x: losses.contractive_penalty_estimate(mg.functional.tanh, x, mg.Generator(0)), X),
    "packed": (lambda x: losses.pack(x, 2).sum(), X),
    "squared error": (losses.squared_error, X, Y),
    "bernoulli": (losses.bernoulli_nll, X, Y),
    "gaussian": (lambda x, y: losses.gaussian_nll(x, y, -1.0), X, Y),
    "absolute error": (losses.absolute_error, IMAGES, IMAGES[::-1]),
    "edges": (losses.edge_loss, IMAGES, IMAGES[::-1]),
    "structure": (losses.structural_loss, IMAGES, IMAGES[::-1]),
    "total variation": (losses.total_variation, IMAGES),
    "sparsity": (lambda x: losses.kl_sparsity(x, 0.1), X),
    "l1 sparsity": (losses.l1_sparsity, X),
    "kl": (losses.kl_to_standard_normal, X, Y),
    "free bits": (lambda x, y: losses.free_bits(losses.kl_per_dimension(x, y), 0.1), X, Y),
    "iwae": (losses.iwae_loss, X),
    "weights": (lambda x: (losses.normalized_weights(x) * x).sum(), X),
    "log normal": (lambda x, y: losses.log_normal(x, 0.0, y).sum(), X, Y),
    "cross-entropy": (lambda x: mg.functional.cross_entropy(x, np.array([0, 2, 1, 0])), X),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_are_computed_on_the_gpu_without_waiting(name, transfers):
    function, *arrays = LOSSES[name]
    found = {}
    for device in ("cpu", "cudasim"):
        inputs = [mg.tensor(array, device=device, requires_grad=True) for array in arrays]
        with transfers() as moved:
            loss = function(*inputs)
            loss.backward()
        assert not moved.to_host + moved.synchronizations, moved
        found[device] = [loss, *(x.grad for x in inputs)]
    assert_close(found["cudasim"], found["cpu"], rtol=1e-4, atol=1e-5)


def autoencoder_step(encoder, decoder, step, x, noise):
    step(losses.squared_error(decoder(encoder(x)[:, :2]), x), encoder, decoder)


def vae_step(encoder, decoder, step, x, noise):
    code = encoder(x)
    mu, logvar = code[:, :2], code[:, 2:]
    z = losses.reparametrize(mu, logvar, mg.randn(4, 2, generator=noise, device=x.device))
    step(losses.bernoulli_nll(decoder(z), x) + losses.kl_to_standard_normal(mu, logvar), encoder, decoder)


def gan_step(discriminator, generator, step, x, noise):
    pair, penalty = losses.gan_loss("hinge"), losses.gan_penalty("wgan-gp", 10.0, noise)
    fake = generator(mg.randn(4, 2, generator=noise, device=x.device))
    loss = pair.discriminator(discriminator(x), discriminator(fake.detach())) + penalty(discriminator, x, fake)
    step(loss, discriminator)
    step(pair.generator(None, discriminator(fake)), generator)


STEPS = {"autoencoder": (autoencoder_step, optim.Adam), "vae": (vae_step, optim.RMSprop), "gan": (gan_step, optim.Adam)}


@pytest.fixture(params=STEPS)
def trainer(request):
    """trainer(device): a function of a batch that does one training step, and one of nothing that gives all weights."""
    one_step, optimizer_of = STEPS[request.param]

    def make(device):
        mg.manual_seed(0)
        first = nn.Sequential(
            nn.Conv2d(1, 2, 3, 2, 1, bias=False),
            nn.BatchNorm2d(2),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(8, 4),
        ).to(device)
        second = nn.Sequential(
            nn.Linear(2, 8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, 4, 2, 1)
        ).to(device)
        optimizers = {id(network): optimizer_of(network.parameters(), lr=0.01) for network in (first, second)}
        average, noise = optim.ExponentialMovingAverage(second).to(device), mg.Generator(2)

        def step(loss, *learning):
            for network in (first, second):
                network.zero_grad()
            loss.backward()
            for network in learning:
                clip_grad_norm_(network.parameters(), 1.0)
                clip_grad_value_(network.parameters(), 0.5)
                optimizers[id(network)].step()

        def run(x):
            one_step(first, second, step, x, noise)
            average.update()

        return run, lambda: [
            *first.state_dict().values(),
            *second.state_dict().values(),
            *average.state_dict().values(),
        ]

    return make


BATCHES = mg.Generator(1).uniform((3, 4, 1, 4, 4))


def test_a_training_step_waits_for_nothing_and_sends_but_the_batch_and_random_numbers(trainer, transfers):
    found = {}
    for device in ("cpu", "cudasim"):
        run, weights = trainer(device)
        for number, batch in enumerate(BATCHES[:2]):
            with transfers() as moved:
                run(mg.tensor(batch, device=device))
            if number:
                assert not moved.to_host + moved.synchronizations, moved
                assert all(re.search(r"device\.py|\(fresh\)|\(renewed\)", sent) for sent in moved.to_gpu), moved
        found[device] = weights()
    assert_close(found["cudasim"], found["cpu"], rtol=1e-3, atol=1e-4)


def test_a_recorded_training_step_replays_as_the_step_itself(trainer):
    from minigen_kernels.cuda.simulator.tape import recording

    run, weights = trainer("cudasim")
    for batch in BATCHES:
        run(mg.tensor(batch, device="cudasim"))
    expected = weights()
    run, weights = trainer("cudasim")
    x = mg.tensor(BATCHES[0], device="cudasim")
    run(x)
    x.data.set(BATCHES[1])
    with recording() as tape:
        run(x)
    x.data.set(BATCHES[2])
    tape.replay()
    assert_close(weights(), expected, rtol=1e-5, atol=1e-6)
