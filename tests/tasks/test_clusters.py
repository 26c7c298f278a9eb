import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors

from minigen import Generator
from minigen.errors import UserError
from minigen.tasks import cluster_codes, principal_plane
from minigen.tasks.clusters import MIN_SAMPLES, typical_radius
from minigen.training.systems import make_system


def system(encode, **config):
    made = make_system({"model": "ae", "hidden": [8], **config})
    made.encode = encode
    return made


def by_class(images):
    """Codes that tell the held-out digits' classes apart: the place of each image among them."""
    held_out, labels = make_system({"model": "ae", "hidden": [8]}).source.load("test").arrays
    where = {image.tobytes(): label for image, label in zip(held_out, labels)}
    place = np.array([where[image.tobytes()] for image in images])
    noise = 0.01 * Generator(0).normal((len(images), 2))
    return np.stack([np.cos(place), 3 * place], axis=1).astype(np.float32) + noise


@pytest.mark.parametrize("method", ["kmeans", "gmm", "dbscan"])
def test_codes_that_tell_classes_apart_are_clustered_as_the_classes_and_pixels_worse(method):
    eps = 0.5 if method == "dbscan" else None
    found = cluster_codes(system(by_class), method=method, eps=eps)
    codes, pixels = found.agreement
    assert (codes["clustered"], codes["clusters"], codes["purity"], codes["adjusted_rand"]) == ("codes", 10, 1, 1)
    assert pixels["clustered"] == "pixels"
    assert pixels["purity"] < 0.95
    assert pixels["adjusted_rand"] == pytest.approx(adjusted_rand_score(found.labels, found.of_samples))
    expected = normalized_mutual_info_score(found.labels, found.of_samples)
    assert pixels["mutual_information"] == pytest.approx(expected)


def test_k_the_split_and_the_generator_are_what_was_asked_for():
    made = system(lambda images: images.reshape(len(images), -1)[:, :6])
    found = cluster_codes(made, k=4, split="train", generator=Generator(3))
    again = cluster_codes(made, k=4, split="train", generator=Generator(3))
    assert found.codes.shape == (1437, 6)
    assert set(found.of_codes) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found.of_codes, again.of_codes)


def test_codes_that_are_the_pixels_are_clustered_as_the_pixels():
    for method in ("kmeans", "gmm", "dbscan"):
        found = cluster_codes(system(lambda images: images.reshape(len(images), -1)), method=method)
        np.testing.assert_array_equal(found.of_codes, found.of_samples)


def test_the_typical_radius_makes_half_of_the_samples_dense():
    x = Generator(0).normal((201, 3), dtype=np.float64)
    distances, _ = NearestNeighbors(n_neighbors=MIN_SAMPLES).fit(x).kneighbors(x)
    assert typical_radius(x) == pytest.approx(np.median(distances[:, -1]), rel=1e-6)
    assert typical_radius(np.zeros((7, 2))) == 1
    assert typical_radius(np.ones((1, 2))) == 1


@pytest.mark.parametrize("d", [3, 9])
def test_the_plane_is_that_of_the_first_two_principal_components(d):
    x = Generator(d).normal((40, d), dtype=np.float64) * np.arange(1, d + 1)
    expected = PCA(2).fit_transform(x)
    found = principal_plane(x)
    for i in (0, 1):
        sign = np.sign(found[0, i] * expected[0, i])
        np.testing.assert_allclose(found[:, i], sign * expected[:, i], atol=1e-9)


def test_one_dimension_lies_on_a_line_and_two_are_left_as_they_are():
    x = np.array([[1.0, 2.0], [5.0, -1.0]])
    assert principal_plane(x) is x
    assert principal_plane(np.array([[1.0], [3.0]])).tolist() == [[-1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("made", "options", "words"),
    [
        (system(None), {}, "'ae' cannot cluster"),
        (system(by_class), {"method": "kmean"}, "did you mean 'kmeans'"),
        (system(by_class), {"k": 361}, "361 clusters need at least as many samples, and the split 'test' has 360"),
    ],
)
def test_what_cannot_be_clustered_is_one_sentence(made, options, words):
    with pytest.raises(UserError, match=words):
        cluster_codes(made, **options)
