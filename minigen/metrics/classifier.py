"""A small classifier of real digits, trained here in seconds: the judge of which classes a generator can draw."""

from __future__ import annotations

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import ArrayDataset, DataLoader
from minigen.functional import cross_entropy, softmax
from minigen.optim import Adam
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor


class Classifier(nn.Module):
    """Two convolutions and two dense layers: images (N, C, H, W) to logits (N, classes). H and W multiples of 4."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, h, w = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (h // 4) * (w // 4), 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def train_classifier(images: np.ndarray, labels: np.ndarray, epochs: int = 15, seed: int = 0) -> Classifier:
    """Fit the classifier to images from 0 to 1 by cross-entropy; the same seed gives the same classifier."""
    before = default_generator.get_state()
    default_generator.manual_seed(seed)  # for the initial weights; put back below, so that a run is not disturbed
    try:
        model = Classifier(images.shape[1:], int(labels.max()) + 1)
    finally:
        default_generator.set_state(before)
    data = ArrayDataset(images, labels)
    loader = DataLoader(data, batch_size=64, shuffle=True, generator=Generator(seed), prefetch=0)
    optimizer = Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for x, y in loader:
            loss = cross_entropy(model(Tensor(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@no_grad()
def class_probabilities(model: Classifier, images: np.ndarray, batch: int = 512) -> np.ndarray:
    """p(class | image), (N, classes), for images from 0 to 1."""
    parts = [softmax(model(Tensor(images[i : i + batch])), 1).numpy() for i in range(0, len(images), batch)]
    return np.concatenate(parts)
