import copy
import pickle

import numpy as np
import pytest

import minigen
from minigen import Tensor, nn
from minigen.errors import DtypeError, UserError


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter([2.0])
        self.norm = nn.BatchNorm1d(3)
        self.linear = nn.Linear(3, 2, bias=False)
        self.register_buffer("offset", minigen.ones(1))
        self.register_buffer("scratch", minigen.ones(1), persistent=False)

    def forward(self, x):
        return self.linear(self.norm(x)) * self.scale + self.offset


def names(pairs):
    return [name for name, _ in pairs]


def test_parameters_and_buffers_come_in_the_order_of_assignment():
    block = Block()
    assert names(block.named_parameters()) == ["scale", "norm.weight", "norm.bias", "linear.weight"]
    assert names(block.named_buffers()) == [
        "offset",
        "scratch",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert names(block.named_parameters(prefix="a", recurse=False)) == ["a.scale"]
    assert names(block.named_modules()) == ["", "norm", "linear"]
    assert names(block.named_children()) == ["norm", "linear"]
    assert list(block.children()) == [block.norm, block.linear]


def test_assigning_a_parameter_again_keeps_its_place():
    block = Block()
    block.scale = nn.Parameter([5.0])
    block.norm = nn.Identity()
    assert names(block.named_parameters()) == ["scale", "linear.weight"]
    assert names(block.named_modules()) == ["", "norm", "linear"]
    assert block.scale.item() == 5


def test_a_shared_parameter_and_a_shared_layer_count_once():
    model = nn.Module()
    model.a, model.b = nn.Linear(2, 2), nn.Linear(2, 2)
    model.b.weight = model.a.weight
    model.c = model.a
    assert names(model.named_parameters()) == ["a.weight", "a.bias", "b.bias"]
    assert names(model.named_modules()) == ["", "a", "b"]
    assert list(model.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"]
    twin = copy.deepcopy(model)
    assert twin.b.weight is twin.a.weight
    assert twin.c is twin.a
    assert twin.a.weight is not model.a.weight


def test_train_and_eval_reach_every_layer():
    block = Block()
    assert block.eval() is block
    assert not any(module.training for module in block.modules())
    block.train()
    assert all(module.training for module in block.modules())


def test_conversion_keeps_the_tensors_and_leaves_integers_alone():
    block = Block()
    block(minigen.randn(4, 3)).sum().backward()
    weight, tracked = block.linear.weight, block.norm.num_batches_tracked
    version = weight._version[0]
    assert block.to(np.float64) is block
    assert block.linear.weight is weight
    assert weight.dtype == weight.grad.dtype == np.float64
    assert weight._version[0] > version
    assert block.norm.running_mean.dtype == np.float64
    assert tracked.dtype == np.int64
    assert isinstance(tracked.data, np.ndarray)
    assert block(minigen.randn(4, 3, dtype=np.float64)).dtype == np.float64
    assert block.float().linear.weight.dtype == np.float32
    assert block.double().to("cpu", np.float32).scale.dtype == np.float32
    with pytest.raises(DtypeError, match="floating-point type, not to int64"):
        block.to(np.int64)


def test_apply_visits_children_first_and_the_module_last():
    seen = []
    Block().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["BatchNorm1d", "Linear", "Block"]


def test_gradients_are_forgotten_or_zeroed():
    block = Block()
    block(minigen.randn(4, 3)).sum().backward()
    block.zero_grad(set_to_none=False)
    assert all((np.asarray(p.grad) == 0).all() for p in block.parameters())
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())


def test_a_frozen_module_receives_no_gradient():
    block = Block().requires_grad_(False)
    x = minigen.randn(4, 3)
    x.requires_grad_()
    block(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in block.parameters())


def test_a_missing_super_call_is_explained():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    class Mute(nn.Module):
        def __init__(self):
            self.size = 3

    with pytest.raises(UserError, match=r"Forgetful.__init__ must call super\(\).__init__\(\) before .* 'layer'"):
        Forgetful()
    with pytest.raises(UserError, match=r"must call super\(\).__init__\(\) before it adds 'x'"):
        Mute().register_buffer("x", None)
    with pytest.raises(AttributeError, match=r"must call super\(\).__init__\(\) before 'weight' is used"):
        _ = Mute().weight
    with pytest.raises(AttributeError, match="'Block' has no attribute 'weight'"):
        _ = Block().weight


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward: define"):
        nn.Module()(1)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: setattr(m, "scale", minigen.ones(1)), "'scale' is a parameter of Block: assign a Parameter or None"),
        (lambda m: setattr(m, "offset", 3), "'offset' is a buffer of Block: assign a Tensor or None, not int"),
        (lambda m: m.register_buffer("a.b", None), "non-empty string without dots, not 'a.b'"),
        (lambda m: m.register_buffer("", None), "non-empty string"),
        (lambda m: m.register_buffer("norm", None), "already has an attribute 'norm'"),
        (lambda m: m.register_parameter("forward", None), "already has an attribute 'forward'"),
        (lambda m: m.register_parameter("w", minigen.ones(1)), "must be a minigen.nn.Parameter or None, not Tensor"),
        (lambda m: m.register_buffer("w", np.ones(1)), "must be a Tensor or None, not ndarray"),
        (lambda m: m.add_module("w", "layer"), "must be a minigen.nn.Module, not str"),
    ],
)
def test_wrong_parts_are_refused(act, message):
    with pytest.raises(UserError, match=message):
        act(Block())


def test_parameters_and_buffers_may_be_none_or_removed():
    block = Block()
    block.scale = None
    block.offset = None
    assert names(block.named_parameters())[0] == "norm.weight"
    assert "offset" not in block.state_dict()
    del block.norm
    del block.scratch
    assert not hasattr(block, "norm")
    assert names(block.named_buffers()) == []
    block.scratch = nn.Parameter([1.0])  # a name that once was of a buffer not saved
    assert "scratch" in block.state_dict()


def test_hooks_run_around_forward_until_removed():
    block, seen = Block(), []
    remove = [
        block.register_forward_pre_hook(lambda module, inputs: seen.append(("before", inputs[0].shape))),
        block.register_forward_hook(lambda module, inputs, output: seen.append(("after", output.shape))),
    ]
    block(minigen.randn(4, 3))
    assert seen == [("before", (4, 3)), ("after", (4, 2))]
    for each in remove:
        each()
    block(minigen.randn(4, 3))
    assert len(seen) == 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_copy_computes_the_same_and_shares_nothing(duplicate):
    block = nn.utils.spectral_norm(nn.Linear(3, 2))
    model = nn.Sequential(Block(), nn.Dropout(0.5, generator=minigen.Generator(1)), block)
    model[2] = nn.utils.spectral_norm(nn.Linear(2, 2))
    x = minigen.randn(4, 3)
    model(x)
    twin = duplicate(model)
    for (name, ours), (other, theirs) in zip(model.state_dict().items(), twin.state_dict().items()):
        assert name == other
        assert not np.shares_memory(ours.data, theirs.data)
    assert isinstance(twin[0].scale, nn.Parameter)
    np.testing.assert_array_equal(model(x).numpy(), twin(x).numpy())


def test_repr_nests():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(inplace=True)))
    assert repr(model) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n    (0): ReLU(inplace=True)\n  )\n)"
    )
    assert repr(nn.ReLU()) == "ReLU()"
    assert {"scale", "norm", "offset"} <= set(dir(Block()))


def test_a_plain_tensor_is_an_ordinary_attribute():
    module = nn.Module()
    module.noise = minigen.ones(2)
    assert isinstance(module.noise, Tensor)
    assert names(module.named_buffers()) == []


def test_sequential_runs_in_order_and_is_indexed_and_sliced():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3
    assert model[-1] is model[2]
    part = model[1:]
    assert isinstance(part, nn.Sequential)
    assert names(part.named_parameters()) == ["2.weight", "2.bias"]
    x = minigen.randn(5, 2)
    np.testing.assert_array_equal(model(x).numpy(), part(model[0](x)).numpy())
    part.append(nn.Identity()).append(nn.Tanh())
    assert names(part.named_children()) == ["1", "2", "3", "4"]
    model[1] = nn.Tanh()
    assert isinstance(model[1], nn.Tanh)
    with pytest.raises(IndexError, match="has 3 modules; there is no number 3"):
        model[3]


def test_sequential_takes_names():
    model = nn.Sequential({"in": nn.Linear(2, 3), "out": nn.Linear(3, 1)})
    assert list(model.state_dict()) == ["in.weight", "in.bias", "out.weight", "out.bias"]
    with pytest.raises(UserError, match="not both"):
        nn.Sequential({"a": nn.ReLU()}, nn.ReLU())


def test_module_list_finds_its_layers_and_does_not_run_them():
    layers = nn.ModuleList([nn.Linear(2, 2)]).extend([nn.Linear(2, 2), nn.ReLU()])
    assert names(layers.named_parameters()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [type(layer).__name__ for layer in layers[1:]] == ["Linear", "ReLU"]
    with pytest.raises(NotImplementedError):
        layers(1)
