import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import UserError
from minigen.optim import SGD, ExponentialMovingAverage


def train(model, steps, seed=0):
    optimizer, generator = SGD(model.parameters(), lr=0.1), minigen.Generator(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(minigen.randn(4, 3, generator=generator)) ** 2).sum().backward()
        optimizer.step()
        yield


def model():
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


@pytest.mark.parametrize("warm_up", [True, False])
def test_the_average_follows_the_formula(warm_up):
    source = model()
    ema = ExponentialMovingAverage(source, decay=0.6, use_num_updates=warm_up)
    expected = {name: p.numpy().copy() for name, p in source.named_parameters()}
    for t, _ in enumerate(train(source, 12), 1):
        ema.update()
        decay = min(0.6, (1 + t) / (10 + t)) if warm_up else 0.6
        for name, p in source.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.numpy()
    for name, average in ema.module.named_parameters():
        np.testing.assert_allclose(average.numpy(), expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert int(ema.num_updates) == 12


def test_the_compiled_loop_gives_the_bits_of_the_array_operations():
    source = nn.Linear(300, 301)
    ema = ExponentialMovingAverage(source, decay=0.6, use_num_updates=False)
    bias = ema.module.bias
    for _ in range(3):
        source.weight.data = source.weight.data * np.float32(1.25)
        expected = [
            a.data + (w.data - a.data) * (1 - 0.6) for a, w in zip(ema.module.parameters(), source.parameters())
        ]
        version = bias._version[0]
        ema.update()
        assert bias._version[0] > version
        for average, values in zip(ema.module.parameters(), expected):
            np.testing.assert_array_equal(average.numpy(), values)


def test_weights_in_another_order_are_averaged_too():
    source = nn.Linear(3, 4)
    source.weight = nn.Parameter(np.asfortranarray(source.weight.data))
    ema = ExponentialMovingAverage(source, decay=0.5, use_num_updates=False)
    before = source.weight.numpy().copy()
    source.weight.data = np.asfortranarray(before + 8)
    ema.update()
    np.testing.assert_allclose(ema.module.weight.numpy(), before + 4, rtol=1e-6)


def test_buffers_are_copied_and_nothing_is_shared():
    source = model()
    ema = ExponentialMovingAverage(source, decay=0.9)
    list(train(source, 3))
    ema.update()
    for name, buffer in source.named_buffers():
        copied = dict(ema.module.named_buffers())[name]
        np.testing.assert_array_equal(copied.numpy(), buffer.numpy(), err_msg=name)
        assert not np.shares_memory(copied.data, buffer.data)
    assert int(ema.module[1].num_batches_tracked) == 3


def test_the_source_is_untouched_and_not_part_of_the_average():
    source = model()
    ema = ExponentialMovingAverage(source)
    assert source.training
    assert not ema.module.training
    assert all(p.requires_grad for p in source.parameters())
    assert not any(p.requires_grad for p in ema.parameters())
    assert [name for name, _ in ema.named_modules()] == ["", "module", "module.0", "module.1"]
    list(train(source, 1))
    before = [p.numpy().copy() for p in source.parameters()]
    ema.update()
    for p, old in zip(source.parameters(), before):
        np.testing.assert_array_equal(p.numpy(), old)


def test_a_saved_average_goes_on_bit_for_bit():
    source, twin = model(), model()
    twin.load_state_dict(source.state_dict())
    whole, first = ExponentialMovingAverage(source), ExponentialMovingAverage(twin)
    for _ in train(source, 8):
        whole.update()
    steps = train(twin, 8)
    for _, _ in zip(range(4), steps):
        first.update()
    second = ExponentialMovingAverage(twin)
    second.load_state_dict({name: np.array(value) for name, value in first.state_dict().items()})
    for _ in steps:
        second.update()
    for (name, a), b in zip(whole.state_dict().items(), second.state_dict().values()):
        assert a.numpy().tobytes() == b.numpy().tobytes(), name


def test_the_average_can_be_called_and_copied_back():
    source = model()
    ema = ExponentialMovingAverage(source)
    for _ in train(source, 3):
        ema.update()
    x = minigen.ones(2, 3)
    y = ema(x).numpy()
    ema.copy_to(source)
    np.testing.assert_array_equal(source.eval()(x).numpy(), y)


def test_a_spectrally_normalized_model_is_averaged_after_a_pass():
    source = nn.utils.spectral_norm(nn.Linear(3, 3))
    source(minigen.ones(1, 3))
    ema = ExponentialMovingAverage(source, decay=0.0)
    for _ in train(source, 2):
        ema.update()
    np.testing.assert_allclose(ema(minigen.ones(1, 3)).numpy(), source.eval()(minigen.ones(1, 3)).numpy(), rtol=1e-6)


def test_mistakes_are_told():
    with pytest.raises(UserError, match="follows a module, not a list"):
        ExponentialMovingAverage([minigen.ones(1)])
    with pytest.raises(UserError, match=r"decay=1.5 must be from 0 to 1"):
        ExponentialMovingAverage(model(), decay=1.5)
