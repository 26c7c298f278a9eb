"""The generator: same seed, same bits; nothing global; a state that travels through JSON."""

import numpy as np

import minigen as mg


def test_a_numpy_number_as_mean_or_bound_does_not_promote():
    g = mg.Generator(0)
    assert g.normal((3,), np.float64(1), np.float64(2)).dtype == np.float32
    assert g.uniform((3,), np.float64(-1), np.float64(1)).dtype == np.float32
