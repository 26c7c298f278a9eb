"""Steps that are captured and replayed are the steps that were not: every loss and weight, to the bit."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen import nn, optim
from minigen.cuda import graph
from minigen.device import why_unavailable
from minigen.errors import DeviceError, GraphError, InPlaceError, OutOfMemoryError, UserError
from minigen.losses import gan_loss, kl_per_dimension, reparametrize, squared_error, wgan_gp_penalty

pytestmark = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))
SIM = "cudasim"
BATCHES = mg.Generator(1).uniform((4, 3, 1, 4, 4))  # of three images


def encoder(outs):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(16, outs),
    )


def decoder(latent):
    return nn.Sequential(
        nn.Linear(latent, 16), nn.ReLU(), nn.Unflatten(1, (4, 2, 2)), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
    )


class Autoencoder:
    def __init__(self):
        self.network = nn.Sequential(encoder(2), decoder(2)).to(SIM)
        self.optimizer = optim.Adam(self.network.parameters(), lr=0.01)

    def step(self, x):
        loss = squared_error(self.network(x), x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


class VariationalAutoencoder:
    """With an average of its weights, RMSprop, and a learning rate that falls."""

    def __init__(self):
        self.network = nn.Sequential(encoder(4), decoder(2)).to(SIM)
        self.optimizer = optim.RMSprop(self.network.parameters(), lr=0.01, momentum=0.5)
        self.average = optim.ExponentialMovingAverage(self.network, 0.9)
        self.noise = mg.Generator(3)

    def step(self, x):
        codes = self.network[0](x)
        mu, logvar = codes[:, :2], codes[:, 2:]
        z = reparametrize(mu, logvar, mg.randn(*mu.shape, generator=self.noise, device=x.device))
        loss = squared_error(self.network[1](z), x) + kl_per_dimension(mu, logvar).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.average.update()
        return {"loss": loss, "latent": [mu]}


class Adversaries:
    """Two optimizers, a second derivative, and spectral norm."""

    def __init__(self):
        self.noise = mg.Generator(4)
        self.generator = decoder(2).to(SIM)
        last = nn.utils.spectral_norm(nn.Linear(4, 1), generator=self.noise)
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Tanh(), last).to(SIM)
        self.optimizers = [
            optim.AdamW(self.discriminator.parameters(), lr=0.02),
            optim.SGD(self.generator.parameters(), 0.1, 0.9, 0.5),
        ]

    def step(self, x):
        pair = gan_loss("non-saturating")
        fake = self.generator(mg.randn(len(x), 2, generator=self.noise, device=x.device))
        losses = []
        for player, optimizer in zip((self.discriminator, self.generator), self.optimizers):
            if player is self.discriminator:
                loss = pair.discriminator(player(x), player(fake.detach()))
                loss = loss + wgan_gp_penalty(player, x, fake.detach(), self.noise)
            else:
                loss = pair.generator(None, self.discriminator(fake))
            for each in self.optimizers:
                each.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return tuple(losses)


def tensors(found):
    if isinstance(found, mg.Tensor):
        return [found]
    return [t for part in (found.values() if isinstance(found, dict) else found) for t in tensors(part)]


def trained(system, captured):
    """Losses, and everything that the steps left behind."""
    mg.manual_seed(0)
    trainer = system()
    step = graph(trainer.step, SIM) if captured else lambda x: trainer.step(mg.tensor(x, device=SIM))
    optimizers = getattr(trainer, "optimizers", None) or [trainer.optimizer]
    losses = []
    for i, batch in enumerate(BATCHES):
        for group in optimizers[0].param_groups:
            group["lr"] *= 0.9**i
        losses += tensors(step(batch))
    modules = [value for value in vars(trainer).values() if isinstance(value, nn.Module)]
    left = [array for module in modules for array in module.state_dict().values()]
    left += [array for optimizer in optimizers for array in optimizer.state_arrays().values()]
    steps = [optimizer.state_numbers()["steps"] for optimizer in optimizers]
    return [np.asarray(t.cpu().numpy() if isinstance(t, mg.Tensor) else t) for t in (*losses, *left)], steps


@pytest.mark.parametrize("system", [Autoencoder, VariationalAutoencoder, Adversaries])
def test_a_captured_step_trains_as_one_that_is_not_to_the_bit(system):
    (ours, steps), (expected, wanted) = trained(system, True), trained(system, False)
    assert len(ours) == len(expected) > 10
    for a, b in zip(ours, expected):
        np.testing.assert_array_equal(a, b)
    assert steps == wanted


def slope(x):
    """A step with a weight that it does not change."""
    return (x * 2).sum()


def test_arguments_may_be_arrays_tensors_of_any_device_and_numbers_that_change():
    fast = graph(lambda x, y, k, *, sign, name: (x * k + y).sum() * sign, SIM)
    for k in (1.0, 2.0, 3.0, 4.5):
        x = mg.tensor([k, 1.0], device=SIM)
        found = fast(x, np.full(2, k, np.float32), k, sign=-1, name="a")
        assert found.item() == -(k * (k + 1) + 2 * k)
        assert (
            fast(mg.tensor([k, 1.0]), np.ones(2, np.float32), np.float32(k), sign=1, name="a").item() == k * (k + 1) + 2
        )
    assert len(fast.kinds) == 2
    assert "float32 (2,), float32 (2,), float32 (), -1, 'a'" in repr(fast)


def test_arguments_of_another_shape_have_a_graph_of_their_own():
    ran = []
    fast = graph(lambda x: ran.append(x.shape) or x.sum(), SIM)
    for shape in ((2,), (3,), (2,), (3,), (2,), (3,), (2,)):
        assert fast(np.ones(shape)).item() == shape[0]
    assert ran == [(2,), (3,)] * 2  # as it is, and captured


def test_results_stay_what_they_were():
    fast = graph(lambda x: (x + 1, [x * 2, None, 7]), SIM)
    found = [fast(np.array([k], np.float32)) for k in range(4)]
    assert [[a.item(), b.item(), n, i] for a, (b, n, i) in found] == [[k + 1, 2 * k, None, 7] for k in range(4)]
    assert not any(a.requires_grad for a, _ in found)


def test_what_python_decided_stays_as_it_was_captured():
    calls = []
    fast = graph(lambda x: calls.append(1) or x * len(calls), SIM)
    assert [fast(np.ones(1)).item() for _ in range(4)] == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (lambda x: x * float(x.sum().item()), "cannot hold .*host"),
        (lambda x: x * mg.tensor(np.ones(2), device=SIM), "cannot hold a copy from the host"),
        (lambda x: x if (x > 0).all() else -x, "cannot hold"),
        (lambda x: mg.tensor(x.numpy()), "cannot hold"),
    ],
)
def test_what_needs_the_host_is_refused_with_its_line_and_the_reason(step, sentence):
    fast = graph(step, SIM)
    fast(np.ones(2))  # as it is
    with pytest.raises(GraphError, match=f"{sentence}.*test_graph.py"):
        fast(np.ones(2))
    assert slope(mg.ones(2, device=SIM) * 3).item() == 12  # the device works on


def test_gradients_from_before_the_step_are_refused():
    w = mg.ones(2, device=SIM, requires_grad=True)
    fast = graph(lambda x: (w * x).sum().backward(), SIM)
    fast(np.ones(2))
    with pytest.raises(GraphError, match="zero_grad"):
        fast(np.ones(2))


def test_an_optimizer_with_a_formula_of_its_own_is_refused():
    class Constant(optim.SGD):
        def update(self, parameter, gradient, state, group):
            parameter.sub_(group["lr"] * gradient)

    w = mg.ones(2, device=SIM, requires_grad=True)
    optimizer = Constant([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    fast = graph(step, SIM)
    fast(np.ones(2))
    with pytest.raises(GraphError, match="Constant: its update is a formula of its own"):
        fast(np.ones(2))


def test_the_options_of_groups_may_come_to_differ():
    found = []
    for captured in (True, False):
        pair = [mg.ones(2, device=SIM, requires_grad=True) for _ in range(2)]
        optimizer = optim.Adam([{"params": [w]} for w in pair], lr=0.1)

        def step(x, pair=pair, optimizer=optimizer):
            optimizer.zero_grad()
            (pair[0] * x + pair[1] * x * x).sum().backward()
            optimizer.step()

        run = graph(step, SIM) if captured else lambda x, step=step: step(mg.tensor(x, device=SIM))
        for rate in (0.1, 0.1, 0.1, 0.2, 0.4):
            optimizer.param_groups[1]["lr"] = rate
            run(np.ones(2))
        found.append([w.tolist() for w in pair])
    assert found[0] == found[1]


def test_arrays_that_were_replaced_are_seen():
    w = mg.ones(1, device=SIM)
    fast = graph(lambda x: x * w, SIM)
    assert [fast(np.ones(1)).item() for _ in range(3)] == [1, 1, 1]
    w.data = w.data * 5
    assert [fast(np.ones(1)).item() for _ in range(3)] == [5, 5, 5]


def test_an_optimizer_s_state_that_was_loaded_is_seen():
    mg.manual_seed(0)
    trainer = Autoencoder()
    fast = graph(trainer.step, SIM)
    for batch in BATCHES[:3]:
        fast(batch)
    saved, weights = trainer.optimizer.state_dict(), trainer.network.state_dict()
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    dropout = mg.random.default_generator.get_state()
    after = fast(BATCHES[3]).item(), fast(BATCHES[0]).item()
    trainer.network.load_state_dict(weights)
    trainer.optimizer.load_state_dict(saved)
    mg.random.default_generator.set_state(dropout)
    assert (fast(BATCHES[3]).item(), fast(BATCHES[0]).item()) == after


def test_a_replay_counts_as_a_change_in_place():
    w = mg.ones(1, device=SIM, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    fast = graph(step, SIM)
    for _ in range(2):
        fast(np.ones(1))
    square = w * w
    fast(np.ones(1))
    with pytest.raises(InPlaceError):
        square.backward()


def test_arguments_that_are_no_constants_and_too_many_kinds_are_refused():
    fast = graph(lambda *given: None, SIM)
    with pytest.raises(
        GraphError, match="argument 1 is a list of tensors or numbers; give each as an argument of its own"
    ):
        fast([1.0])
    with pytest.raises(
        GraphError, match="argument 'x' is a list, which may change without a graph's knowing; give tensors"
    ):
        fast(x=["a"])
    with pytest.raises(GraphError, match="argument 2 requires a gradient"):
        fast(1, mg.ones(1, requires_grad=True))
    for i in range(8):
        fast(i)
    with pytest.raises(GraphError, match=r"\(8\) would be one more"):
        fast(8)


def test_what_is_no_step_and_what_is_no_gpu_is_refused():
    with pytest.raises(UserError, match="needs the function of a step, not a Tensor"):
        graph(mg.ones(1), SIM)
    with pytest.raises(DeviceError, match="device 'cpu' has no CUDA graphs"):
        graph(slope, "cpu")


def test_activations_of_a_step_are_computed_where_the_capture_put_them():
    """Without a copy of what was captured, a tensor of the step shows the last replay."""
    kept = []
    fast = graph(lambda x: kept.append(F.relu(x)), SIM)
    for k in (1.0, 2.0, 3.0):
        fast(np.array([k, -k], np.float32))
    assert kept[-1].tolist() == [3, 0]


@pytest.mark.parametrize(
    ("name", "module", "error", "sentence"),
    [
        (
            "OutOfMemoryError",
            "cupy.cuda.memory",
            OutOfMemoryError,
            r"no memory left for .* captured step.*\(too much\); take a smaller batch",
        ),
        (
            "CUDARuntimeError",
            "cupy_backends.cuda.api.runtime",
            GraphError,
            r"CUDA cannot capture what the step does in .*test_graph.py.* \(too much\)",
        ),
    ],
)
def test_what_cupy_raises_during_a_capture_is_said_in_a_sentence(name, module, error, sentence):
    raised = type(name, (RuntimeError,), {"__module__": module})
    steps = iter([None, raised("too much")])

    def step(x):
        for problem in [next(steps)]:
            if problem is not None:
                raise problem

    fast = graph(step, SIM)
    fast(np.ones(2))
    with pytest.raises(error, match=sentence):
        fast(np.ones(2))


def test_data_replaced_in_the_step_are_written_into_the_array_that_every_graph_reads():
    """Weight clipping, with a smaller last batch: the eager call of a kind must not take the array from another's graph."""
    found = []
    for captured in (True, False):
        w = mg.ones(3, device=SIM)

        def step(x, w=w):
            w.data = (w.data + x.data.sum()) * 0.5
            return w.sum()

        run = graph(step, SIM) if captured else lambda x, step=step: step(mg.tensor(x, device=SIM))
        found.append([run(np.ones(n, np.float32)).item() for n in (4, 4, 4, 2, 4, 2, 2, 4)])
    assert found[0] == found[1]


@pytest.mark.parametrize("clear", [True, False])
def test_an_optimizer_whose_state_would_begin_in_the_capture_is_refused(clear):
    w = mg.ones(2, device=SIM, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9 if clear else 0)

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    fast = graph(step, SIM)
    fast(np.ones(2))
    if clear:
        optimizer.state.clear()
    else:
        optimizer.param_groups[0]["momentum"] = 0.9
    with pytest.raises(GraphError, match=r"SGD: the state of a parameter of shape .* would begin anew in every replay"):
        fast(np.ones(2))


def test_gradients_of_a_replay_are_where_an_optimizer_outside_looks_for_them():
    found = []
    for captured in (True, False):
        w = mg.ones(1, device=SIM, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step(x, w=w):
            w.grad = None
            loss = ((w * x) ** 2).sum()
            loss.backward()
            return loss

        run = graph(step, SIM) if captured else lambda x, step=step: step(mg.tensor(x, device=SIM))
        losses = []
        for n in (2, 2, 2, 1, 2, 1, 1):
            losses.append(run(np.ones(n, np.float32)).item())
            optimizer.step()
            optimizer.zero_grad()
        found.append(losses)
    assert found[0] == found[1]


def test_an_argument_that_is_changed_in_place_is_refused_and_the_caller_s_stays_as_it_was():
    x = mg.ones(2, device=SIM)
    with pytest.raises(GraphError, match="changes argument 1 in place"):
        graph(lambda b: b.mul_(2.0), SIM)(x)
    assert x.tolist() == [1, 1]


def test_a_tensor_that_the_step_replaces_is_refused_and_one_that_it_changes_is_not():
    class Mean:
        value = mg.zeros(1, device=SIM)

        def replaced(self, x):
            self.value = self.value * 0.5 + x

        def changed(self, x):
            self.value.copy_(self.value * 0.5 + x)
            return self.value

    fast = graph(Mean().replaced, SIM)
    fast(np.ones(1))
    with pytest.raises(
        GraphError, match=r"reads a tensor of shape \(1,\) from before it, and puts another in its place"
    ):
        fast(np.ones(1))
    fast = graph(Mean().changed, SIM)
    assert [fast(np.ones(1)).item() for _ in range(4)] == [1, 1.5, 1.75, 1.875]


def test_a_schedule_in_the_step_is_refused():
    w = mg.ones(1, device=SIM, requires_grad=True)
    schedule = optim.StepLR(optim.SGD([w], lr=1.0), 1)
    fast = graph(lambda x: schedule.step(), SIM)
    fast(np.ones(1))
    with pytest.raises(GraphError, match=r"StepLR: .* call the schedule's step\(\) after the graph"):
        fast(np.ones(1))


def test_another_mode_of_a_layer_or_another_precision_is_captured_anew():
    layer = nn.Dropout(0.5)
    fast = graph(lambda x: layer(x), SIM)
    x = np.ones(64, np.float32)
    for _ in range(3):
        assert (fast(x).numpy() == 0).any()
    layer.eval()
    for _ in range(3):
        assert (fast(x).numpy() == 1).all()
    mg.set_float32_precision("tf32")
    try:
        fast(x)
        fast(x)
    finally:
        mg.set_float32_precision("ieee")
    assert fast.kinds == ["(float32 (64,))", "(float32 (64,)) in tf32"]


def test_a_graph_within_a_step_is_refused_with_the_line_that_calls_it():
    inner = graph(lambda x: x * 2, SIM)
    for _ in range(2):
        inner(np.ones(1, np.float32))
    outer = graph(lambda x: inner(x) + 1, SIM)
    outer(np.ones(1, np.float32))
    with pytest.raises(GraphError, match=r"calls another captured step, in .*test_graph\.py:\d+: outer = "):
        outer(np.ones(1, np.float32))


def test_results_may_be_dataclasses_and_what_hides_tensors_is_refused():
    @dataclass
    class Found:
        loss: mg.Tensor
        name: str

    fast = graph(lambda x: Found(x * 2, "a"), SIM)
    found = [fast(np.array([k], np.float32)) for k in range(4)]
    assert [(f.loss.item(), f.name) for f in found] == [(0, "a"), (2, "a"), (4, "a"), (6, "a")]
    with pytest.raises(GraphError, match="returns something of type SimpleNamespace; return tensors"):
        graph(lambda x: SimpleNamespace(loss=x), SIM)(np.ones(1))


def test_many_tensors_are_joined_and_clipped_without_a_table_of_addresses():
    weights = [mg.ones(2, device=SIM, requires_grad=True) for _ in range(12)]

    def step(x):
        for w in weights:
            w.grad = None
        (mg.stack(weights) * x + mg.cat(weights).sum()).sum().backward()
        return nn.utils.clip_grad_norm_(weights, 1.0)

    fast = graph(step, SIM)
    first, *others = [fast(np.ones(2, np.float32)).item() for _ in range(4)]
    assert first > 1
    assert others == [first] * 3
