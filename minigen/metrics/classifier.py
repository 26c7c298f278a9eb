"""A small classifier of real images, trained here in seconds: the judge of which classes a generator can draw."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import ArrayDataset, DataLoader
from minigen.errors import ShapeError, UserError
from minigen.functional import cross_entropy, softmax
from minigen.metrics.arrays import as_numbers
from minigen.optim import Adam
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor

FEATURES = 64
SEEN = 22_000  # images seen in training, when the epochs are not given


class Classifier(nn.Module):
    """Convolutions with pooling and two dense layers: images (N, C, H, W) of any size to logits (N, classes).

    Each pooling halves the image, a last odd row or column on its own: at least two of them, and as many as bring both
    sides to 8 or less.

    Args:
        image_shape: (C, H, W).
        classes: how many.

    >>> import minigen
    >>> Classifier((1, 8, 8), classes=10)(minigen.zeros(2, 1, 8, 8)).shape
    (2, 10)
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        channels, h, w = image_shape
        stages: list[nn.Module] = []
        while len(stages) < 2 * 3 or max(h, w) > 8:
            width = FEATURES if stages else FEATURES // 2
            stages += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
            channels, h, w = width, math.ceil(h / 2), math.ceil(w / 2)
        self.body = nn.Sequential(*stages, nn.Flatten(), nn.Linear(channels * h * w, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: (N, C, H, W) to (N, 64), none negative."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def train_classifier(images: np.ndarray, labels: np.ndarray, epochs: int | None = None, seed: int = 0) -> Classifier:
    """Fit the classifier to images by cross-entropy; the same seed gives the same classifier.

    At the end its features are brought to the root mean square 1 over these images, without a change to its logits, so
    that distances between features mean the same from one classifier to the next.

    Args:
        images: (N, C, H, W) from 0 to 1.
        labels: (N,) integers from 0; there are as many classes as the largest says.
        epochs: passes over the images; None for as many as show about 22,000 images (15 for the digits), at least one.
        seed: of the initial weights and of the order of the images.

    Raises:
        ShapeError: no images (N, C, H, W), or not as many labels.
        UserError: labels that do not count classes, NaN or infinity.
    """
    images = _images("train_classifier", images)
    labels = np.asarray(labels)
    if labels.shape != (len(images),):
        raise ShapeError(f"train_classifier: {len(images)} images have labels ({len(images)},), not {labels.shape}.")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise UserError("train_classifier: labels are integers that count the classes from 0.")
    epochs = max(1, SEEN // len(images)) if epochs is None else epochs
    before = default_generator.get_state()
    default_generator.manual_seed(seed)  # for the initial weights; put back below, so that a run is not disturbed
    try:
        model = Classifier(images.shape[1:], int(labels.max()) + 1)
    finally:
        default_generator.set_state(before)
    data = ArrayDataset(images, labels.astype(np.int64))
    loader = DataLoader(data, batch_size=64, shuffle=True, generator=Generator(seed), prefetch=0)
    optimizer = Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for x, y in loader:
            loss = cross_entropy(model(Tensor(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    _normalize_features(model, images)
    return model.eval()


@no_grad()
def class_probabilities(model: Classifier, images: np.ndarray, batch: int = 512) -> np.ndarray:
    """p(class | image) = softmax of the classifier's logits.

    Args:
        model: from `train_classifier`.
        images: (N, C, H, W) from 0 to 1.
        batch: images at a time.

    Returns:
        (N, classes), of sum 1 in each row.

    >>> p = class_probabilities(Classifier((1, 8, 8), classes=10), np.zeros((3, 1, 8, 8), "float32"))
    >>> p.shape, p.sum(1).round(3).tolist()
    ((3, 10), [1.0, 1.0, 1.0])
    """
    parts = _batches("class_probabilities", model, images, batch)
    return np.concatenate([softmax(model(x), 1).numpy() for x in parts])


@no_grad()
def classifier_features(model: Classifier, images: np.ndarray, batch: int = 512) -> np.ndarray:
    """`Classifier.features` of images, before the last layer.

    Args:
        model: from `train_classifier`.
        images: (N, C, H, W) from 0 to 1.
        batch: images at a time.

    Returns:
        (N, 64).

    >>> classifier_features(Classifier((1, 8, 8), classes=10), np.zeros((3, 1, 8, 8), "float32")).shape
    (3, 64)
    """
    parts = _batches("classifier_features", model, images, batch)
    return np.concatenate([model.features(x).numpy() for x in parts])


@no_grad()
def _normalize_features(model: Classifier, images: np.ndarray) -> None:
    scale = float(np.sqrt((classifier_features(model, images).astype(np.float64) ** 2).mean())) or 1.0
    last = model.body[-2]
    for tensor, factor in ((last.weight, 1 / scale), (last.bias, 1 / scale), (model.head.weight, scale)):
        tensor.copy_(tensor * factor)  # relu(x/s)·s = relu(x)


def _batches(name: str, model: Classifier, images: np.ndarray, batch: int) -> Iterator[Tensor]:
    images = _images(name, images)
    if images.shape[1:] != tuple(model.image_shape):
        raise ShapeError(
            f"{name}: this classifier was trained on images of shape {tuple(model.image_shape)}, not {images.shape[1:]}."
        )
    return (Tensor(images[i : i + batch]) for i in range(0, len(images), batch))


def _images(name: str, images: np.ndarray) -> np.ndarray:
    array = as_numbers(name, images, np.float32)
    if array.ndim != 4:
        raise ShapeError(f"{name}: images have the shape (N, C, H, W), not {array.shape}.")
    return array
