"""Devices: the one there is, those that are not there yet and why, and what moves between them."""

import copy
import pickle

import numpy as np
import pytest

import minigen as mg
from minigen.device import NAMES, cpu, why_unavailable
from minigen.errors import DeviceError, UserError


def test_there_is_one_cpu_which_every_name_leads_to():
    assert mg.device("cpu") is mg.device(cpu) is cpu is mg.ones(1).device
    assert copy.deepcopy(cpu) is pickle.loads(pickle.dumps(cpu)) is cpu
    assert (str(cpu), repr(cpu)) == ("cpu", "device('cpu')")


def test_the_cpu_knows_its_arrays_kernels_and_special_functions():
    assert cpu.xp is np
    for name in ("conv2d", "conv_transpose2d", "conv2d_weight_grad", "matmul"):
        assert callable(getattr(cpu.kernels, name))
    assert cpu.special.erf(0.0) == 0.0
    array = np.zeros(2)
    cpu.add_at(array, np.array([0, 0, 1]), 1.0)
    assert array.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("name", ["tpu", "CPU", "", None, 3, "cuda:0"])
def test_an_unknown_device_is_named_with_those_there_are(name):
    with pytest.raises(DeviceError, match=r"There is no device .*cpu, cuda, cudasim"):
        mg.device(name)


@pytest.mark.parametrize("name", [name for name in NAMES if why_unavailable(name)])
def test_a_device_that_cannot_be_used_here_says_why_and_what_to_use(name):
    x = mg.ones(2)
    for ask in (
        lambda: mg.device(name),
        lambda: mg.zeros(2, device=name),
        lambda: x.to(name),
        lambda: mg.tensor(1.0, device=name),
    ):
        with pytest.raises(DeviceError, match=rf"{name}.*use device 'cpu'") as raised:
            ask()
        assert isinstance(raised.value, UserError)
        assert str(raised.value) == why_unavailable(name)
    assert why_unavailable("cpu") is None


def test_moving_to_where_it_is_changes_nothing():
    x = mg.ones(2, requires_grad=True)
    assert x.to("cpu") is x.cpu() is x.to(cpu) is x
    assert mg.zeros(2, device=cpu).device is cpu


def test_tensors_on_different_devices_are_not_mixed_in_silence():
    elsewhere = mg.ones(2)
    elsewhere.device = type(cpu)("elsewhere", np, "minigen_kernels.cpu", "scipy.special")
    with pytest.raises(DeviceError, match=r"Add: .*cpu and elsewhere.*\.to\('cpu'\)"):
        mg.ones(2) + elsewhere
