import numpy as np
import pytest
from scipy.linalg import sqrtm

from minigen import Generator
from minigen.errors import MinigenError, ShapeError, UserError
from minigen.metrics import frechet as module
from minigen.metrics import frechet_distance, frechet_from_statistics


def draw(n, d, seed):
    g = Generator(seed)
    return g.normal((n, d), dtype=np.float64) @ g.normal((d, d), dtype=np.float64) + g.normal((d,), dtype=np.float64)


def by_sqrtm(a, b):
    """The formula, with SciPy's root of the product."""
    ca, cb = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (a, b))
    shift = a.mean(axis=0) - b.mean(axis=0)
    return shift @ shift + np.trace(ca) + np.trace(cb) - 2 * np.trace(sqrtm(ca @ cb)).real


@pytest.mark.parametrize(("n", "m", "d", "seed"), [(50, 70, 1, 0), (40, 60, 5, 1), (500, 300, 20, 2), (9, 9, 8, 3)])
def test_it_is_the_formula_with_the_matrix_root_of_scipy(n, m, d, seed):
    a, b = draw(n, d, seed), draw(m, d, seed + 100)
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-8)


def test_diagonal_gaussians_have_the_closed_form():
    mu, s, t = np.array([1.0, -2, 0.5]), np.array([1.0, 4, 0.25]), np.array([9.0, 1, 0])
    expected = mu @ mu + ((np.sqrt(s) - np.sqrt(t)) ** 2).sum()
    assert frechet_from_statistics(mu, np.diag(s), np.zeros(3), np.diag(t)) == pytest.approx(expected, rel=1e-12)


def test_from_samples_and_from_their_statistics_is_the_same_with_fewer_samples_than_features():
    a, b = draw(12, 30, 4), draw(7, 30, 5)  # covariances of rank 11 and 6
    statistics = [f(x) for x in (a, b) for f in (lambda x: x.mean(axis=0), lambda x: np.cov(x, rowvar=False))]
    assert frechet_distance(a, b) == pytest.approx(frechet_from_statistics(*statistics), rel=1e-9)


def test_orthogonal_singular_covariances_add_their_traces():
    a, b = np.diag([2.0, 0, 0]), np.diag([0, 3.0, 0])
    assert frechet_from_statistics(np.zeros(3), a, np.zeros(3), b) == pytest.approx(5)


@pytest.mark.parametrize("shape", [(300, 10), (20, 64), (2, 3), (30, 3, 4, 4)])
def test_equal_sets_are_at_distance_0(shape):
    x = Generator(6).normal(shape)
    assert 0 <= frechet_distance(x, x[::-1].copy()) < 1e-10


def test_it_is_symmetric_and_a_shift_adds_its_square():
    a, b = draw(60, 6, 7), draw(80, 6, 8)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert frechet_distance(a, a + 3) == pytest.approx(6 * 9, rel=1e-9)


def test_constant_features_leave_the_distance_of_the_means():
    assert frechet_distance(np.full((5, 4), 2.0), np.full((3, 4), 5.0)) == pytest.approx(36)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (np.ones((1, 3)), np.ones((5, 3)), "needs at least 2 samples here, not 1"),
        (np.ones((5, 3)), np.ones((5, 4)), "as many features, not 3 and 4"),
        (np.full((5, 3), np.nan), np.ones((5, 3)), "NaN or infinity"),
        (np.ones(5), np.ones(5), r"shape \(N, d\)"),
        (np.ones((0, 3)), np.ones((5, 3)), "nothing to measure"),
        (np.ones((5, 3), complex), np.ones((5, 3)), "real numbers"),
        ([["a"]], np.ones((5, 3)), "real numbers"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(a, b, sentence):
    with pytest.raises(MinigenError, match=f"^frechet_distance: .*{sentence}"):
        frechet_distance(a, b)


def test_matrices_that_are_no_covariances_are_refused():
    zero, eye = np.zeros(2), np.eye(2)
    for wrong in (np.diag([1.0, -1.0]), np.array([[1.0, 0.5], [0.0, 1.0]])):
        with pytest.raises(UserError, match="symmetric and has no negative eigenvalues"):
            frechet_from_statistics(zero, wrong, zero, eye)
    with pytest.raises(ShapeError, match=r"covariances \(d, d\)"):
        frechet_from_statistics(zero, np.eye(3), zero, eye)
    assert frechet_from_statistics(zero, np.zeros((2, 2)), zero, np.zeros((2, 2))) == 0


def test_the_name_fid_is_kept_for_inception_features():
    assert not [name for name in dir(module) if "fid" in name.lower()]
