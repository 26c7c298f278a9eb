import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import UserError


class Model(nn.Module):
    """Shares a layer between two calls, draws noise, and has a layer that it never calls."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU())
        self.decoder = nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1)
        self.drop = nn.Dropout(generator=minigen.Generator(3))
        self.head = nn.Linear(8, 8, bias=False)
        self.spare = nn.Linear(10, 10).requires_grad_(False)

    def forward(self, x):
        y = self.drop(self.decoder(self.encoder(x)))
        return self.head(self.head(y)) + minigen.randn(1) + minigen.randn(1, generator=self.drop.generator)


def test_counts_are_those_worked_out_by_hand():
    table = nn.summary(Model(), (3, 2, 8, 8))
    rows = {(i, row.name): row for i, row in enumerate(table.rows)}
    assert [name for _, name in rows] == ["encoder.0", "encoder.1", "encoder.2", "decoder", "drop", "head", "head"]
    conv, norm, relu, transposed, drop, head, again = table.rows
    assert (conv.output_shape, conv.parameters) == ((3, 4, 4, 4), 4 * 1 * 9 + 4)
    assert conv.multiply_adds == 3 * 4 * 4 * 4 * (1 * 9)  # every output: one input channel, nine taps
    assert (norm.parameters, norm.multiply_adds, relu.parameters) == (8, 0, 0)
    assert (transposed.output_shape, transposed.parameters) == ((3, 1, 8, 8), 4 * 16 + 1)
    assert transposed.multiply_adds == 3 * 4 * 4 * 4 * (1 * 16)  # every input: one output channel, sixteen taps
    assert (drop.parameters, drop.multiply_adds) == (0, 0)
    assert (head.parameters, head.multiply_adds) == (64, 3 * 8 * 8 * 8)
    assert (again.parameters, again.multiply_adds) == (0, 3 * 8 * 8 * 8)
    assert table.parameters == 40 + 8 + 65 + 64 + 110
    assert table.trainable == 40 + 8 + 65 + 64
    assert table.multiply_adds == 1728 + 3072 + 2 * 1536
    text = str(table)
    assert "Multiply-adds" in text
    assert "7,872" in text
    assert "(3, 4, 4, 4)" in text


def test_the_model_and_the_generators_are_left_as_they_were():
    model = Model()
    model.encoder[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    states = minigen.default_generator.get_state(), model.drop.generator.get_state()
    nn.summary(model, minigen.ones(1, 2, 8, 8))
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert (minigen.default_generator.get_state(), model.drop.generator.get_state()) == states
    assert not any(module._hooks for module in model.modules())


def test_a_failing_model_is_left_as_it_was_too():
    model = Model()
    with pytest.raises(minigen.errors.ShapeError):
        nn.summary(model, (1, 3, 8, 8))
    assert model.training
    assert not any(module._hooks for module in model.modules())


def test_inputs_may_be_tensors_and_outputs_several():
    class Two(nn.Module):
        def forward(self, a, b):
            return a + b, [a]

    table = nn.summary(Two(), [minigen.ones(2, 3), minigen.ones(3)])
    assert table.rows[0].name == "(model)"
    assert table.rows[0].output_shape == [(2, 3), [(2, 3)]]
    assert nn.summary(nn.ReLU(), (2, 3)).parameters == 0
    assert nn.summary(nn.Linear(3, 2).double(), (5, 3)).multiply_adds == 30
    with pytest.raises(UserError, match="a shape, a Tensor or several Tensors"):
        nn.summary(nn.ReLU(), ["x"])
