import numpy as np
import pytest
from sklearn.decomposition import PCA

from minigen import Generator
from minigen.errors import UserError
from minigen.metrics import pca_error


@pytest.mark.parametrize("components", [0, 1, 5, 16])
def test_it_is_the_error_of_scikit_learns_projection(components):
    train, images = Generator(0).normal((50, 1, 4, 4)), Generator(1).normal((20, 1, 4, 4))
    flat = images.reshape(20, -1).astype(np.float64)
    pca = PCA(components).fit(train.reshape(50, -1).astype(np.float64))
    restored = pca.inverse_transform(pca.transform(flat)) if components else pca.mean_
    expected = ((flat - restored) ** 2).sum(axis=1).mean()
    assert pca_error(train, images, components) == pytest.approx(expected, abs=1e-10)


def test_more_components_than_pixels_are_refused():
    with pytest.raises(UserError, match="images of 4 pixels have as many components, not 5"):
        pca_error(np.ones((3, 4)), np.ones((3, 4)), 5)
