import numpy as np
import pytest
from safetensors.numpy import save_file

from minigen import Generator, Tensor, no_grad
from minigen.errors import UserError
from minigen.metrics import inception as module
from minigen.metrics import inception_features
from minigen.metrics.inception import Inception, load_inception


@pytest.fixture(scope="module")
def state():
    """Random weights under the names of the published file, of a size that keeps activations in range."""
    g, arrays = Generator(0), {}
    for name, tensor in Inception().state_dict().items():
        shape = tensor.shape
        if name.endswith("conv.weight"):
            arrays[name] = g.normal(shape, std=float(np.sqrt(2 / np.prod(shape[1:]))))
        elif name.endswith(("bn.weight", "bn.running_var")):
            arrays[name] = g.uniform(shape, 0.5, 1.5)
        elif name.endswith(("bn.bias", "bn.running_mean")):
            arrays[name] = g.normal(shape, std=0.1)
    return arrays | {"fc.weight": np.zeros((1008, 2048), np.float32), "fc.bias": np.zeros(1008, np.float32)}


@pytest.fixture(scope="module")
def weights(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "weights.safetensors"
    save_file(state, path)
    return path


def in_torch(state, x):
    """The network of the published FID once more, written out in PyTorch from the paper's figures."""
    torch = pytest.importorskip("torch", reason="PyTorch is the independent implementation here")
    torch.set_num_threads(1)  # on a busy machine they wait for one another
    F = torch.nn.functional
    w = {name: torch.from_numpy(array) for name, array in state.items()}

    def unit(x, name, **options):
        y = F.conv2d(x, w[f"{name}.conv.weight"], **options)
        bn = [w[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(y, *bn, eps=0.001))

    def mean(x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    x = unit(x, "Conv2d_1a_3x3", stride=2)
    x = unit(unit(x, "Conv2d_2a_3x3"), "Conv2d_2b_3x3", padding=1)
    x = unit(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1")
    x = F.max_pool2d(unit(x, "Conv2d_4a_3x3"), 3, 2)
    for block in ("Mixed_5b.", "Mixed_5c.", "Mixed_5d."):
        one = unit(x, block + "branch1x1")
        five = unit(unit(x, block + "branch5x5_1"), block + "branch5x5_2", padding=2)
        three = unit(unit(x, block + "branch3x3dbl_1"), block + "branch3x3dbl_2", padding=1)
        three = unit(three, block + "branch3x3dbl_3", padding=1)
        x = torch.cat([one, five, three, unit(mean(x), block + "branch_pool")], 1)
    three = unit(unit(x, "Mixed_6a.branch3x3dbl_1"), "Mixed_6a.branch3x3dbl_2", padding=1)
    three = unit(three, "Mixed_6a.branch3x3dbl_3", stride=2)
    x = torch.cat([unit(x, "Mixed_6a.branch3x3", stride=2), three, F.max_pool2d(x, 3, 2)], 1)
    flat, tall = {"padding": (0, 3)}, {"padding": (3, 0)}
    for block in ("Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."):
        seven = unit(unit(x, block + "branch7x7_1"), block + "branch7x7_2", **flat)
        seven = unit(seven, block + "branch7x7_3", **tall)
        double = unit(x, block + "branch7x7dbl_1")
        for number, options in ((2, tall), (3, flat), (4, tall), (5, flat)):
            double = unit(double, f"{block}branch7x7dbl_{number}", **options)
        pooled = unit(mean(x), block + "branch_pool")
        x = torch.cat([unit(x, block + "branch1x1"), seven, double, pooled], 1)
    three = unit(unit(x, "Mixed_7a.branch3x3_1"), "Mixed_7a.branch3x3_2", stride=2)
    seven = unit(unit(x, "Mixed_7a.branch7x7x3_1"), "Mixed_7a.branch7x7x3_2", **flat)
    seven = unit(unit(seven, "Mixed_7a.branch7x7x3_3", **tall), "Mixed_7a.branch7x7x3_4", stride=2)
    x = torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)
    for block, pool in (("Mixed_7b.", mean), ("Mixed_7c.", lambda x: F.max_pool2d(x, 3, 1, 1))):
        three = unit(x, block + "branch3x3_1")
        double = unit(unit(x, block + "branch3x3dbl_1"), block + "branch3x3dbl_2", padding=1)
        parts = [unit(x, block + "branch1x1")]
        for y, name in ((three, "branch3x3_2"), (double, "branch3x3dbl_3")):
            parts += [unit(y, f"{block}{name}a", padding=(0, 1)), unit(y, f"{block}{name}b", padding=(1, 0))]
        x = torch.cat([*parts, unit(pool(x), block + "branch_pool")], 1)
    return x.mean((2, 3))


def test_it_is_the_resizing_and_the_network_of_pytorch(state, weights, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is the independent implementation here")
    monkeypatch.setattr(module, "SIDE", 139)  # less work, as many layers, and 3×3 pixels left at the end
    x = Generator(2).uniform((1, 3, 20, 131))
    resized = torch.nn.functional.interpolate(torch.from_numpy(x), (139, 139), mode="bilinear", align_corners=False)
    theirs = in_torch(state, 2 * resized - 1).numpy()
    np.testing.assert_allclose(inception_features(x, weights), theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_it_has_the_parameters_of_the_paper_and_2048_features():
    model = Inception().eval()
    assert module.SIDE == 299
    assert sum(p.data.size for p in model.parameters()) == 21_785_568
    assert len([name for name in model.state_dict() if name.endswith("conv.weight")]) == 94
    with no_grad():
        assert model(Tensor(np.zeros((2, 3, 75, 75), np.float32))).shape == (2, 2048)


def test_a_grey_image_is_one_of_three_equal_channels_and_batches_do_not_matter(weights, monkeypatch):
    monkeypatch.setattr(module, "SIDE", 75)
    grey = Generator(3).uniform((3, 1, 8, 8))
    colour = inception_features(grey.repeat(3, 1), weights)
    np.testing.assert_allclose(inception_features(grey, weights, batch=2), colour, rtol=1e-4, atol=1e-4 * colour.max())


def test_other_weights_are_refused(state, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(state | {"fc.weight": np.zeros((1000, 2048), np.float32)}, path)
    with pytest.raises(UserError, match=r"fc\.weight has 1000 rows, and not 1,008; on other weights .* not the FID"):
        load_inception(path)
    save_file({name: a for name, a in state.items() if name != "Mixed_7c.branch_pool.bn.bias"}, path)
    with pytest.raises(UserError, match=r"it lacks 'Mixed_7c\.branch_pool\.bn\.bias'"):
        load_inception(path)
    path.write_bytes(b"not a safetensors file")
    for wrong in (path, tmp_path / "none"):
        with pytest.raises(UserError, match="cannot be read as safetensors"):
            load_inception(wrong)


def test_images_it_cannot_take_are_named(tmp_path):
    with pytest.raises(UserError, match=r"takes images \(N, 3, H, W\)"):
        inception_features(np.zeros((2, 2, 8, 8)), tmp_path)
    with pytest.raises(UserError, match="pixels lie from 0 to 1, not from -1 to 0"):
        inception_features(np.linspace(-1, 0, 64).reshape(1, 1, 8, 8), tmp_path)
