"""The restorers: the correction autoencoder, and the restoration GAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigen.autograd import no_grad
from minigen.data.corruptions import KINDS, make_corruption
from minigen.errors import ShapeError, UserError
from minigen.losses.adversarial import GAN_LOSSES
from minigen.losses.reconstruction import squared_error
from minigen.losses.restoration import absolute_error, edge_loss, structural_loss, total_variation
from minigen.metrics.restoration import psnr, ssim
from minigen.models.patch_discriminator import PatchDiscriminator
from minigen.models.unet import UNet
from minigen.optim import ExponentialMovingAverage
from minigen.random import Generator
from minigen.restoration.classical import fill_missing
from minigen.tensor import Tensor
from minigen.training.options import Option, natural_number, non_negative_number, positive_integer
from minigen.training.restoration import train_correction, train_restoration_gan
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options

REGULARIZERS = {
    "tv": lambda restored, image: total_variation(restored),
    "edge": edge_loss,
    "ssim": structural_loss,
}
WEIGHTS = {"none": 0.0, "tv": 0.01, "edge": 0.1, "ssim": 0.05, "adversarial": 1.0}
_SHOWN = 8  # images in a picture
_JUDGED = 64  # images in an evaluation
_BATCH = 16  # images restored at once

_OPTIONS = (
    Option(
        "corruption",
        "noise:sigma=5-55",
        f"the damage, several joined by +, with parameters as in noise:sigma=25: {', '.join(KINDS)}",
        metavar="KIND",
    ),
    Option("width", 16, "channels at full resolution; 2, 4 and 8 times as many below", positive_integer),
    Option("blocks", 1, "residual blocks at each resolution", positive_integer),
    Option("augment", True, "enlarge, turn and mirror the images, and exchange their colours, at random", bool),
)


class Restorer(System):
    """What both have: a U-Net, its running average, and the damage they were trained on.

    Attributes:
        any_size: images of any size can be restored, not only of the size trained on.
        corruption: the damage.
    """

    any_size = True

    def __init__(self, config: Config) -> None:
        self.corruption = make_corruption(config["corruption"])
        super().__init__(config)
        self.corruption.check_size(*self.image_shape[1:])
        width = config["width"]
        self.model = UNet(
            self.image_shape[0],
            widths=(width, 2 * width, 4 * width, 8 * width),
            blocks=config["blocks"],
            mask=self.corruption.has_mask,
            keep_known=self.corruption.only_hides,
            latent_dim=config.get("latent_dim", 0),
        )
        self.model.to(self.device)
        self.average = ExponentialMovingAverage(self.model, decay=0.995)
        self.modules = {"restorer": self.model, "average": self.average}

    def _add_discriminator(self, conditional: bool) -> None:
        self.discriminator = PatchDiscriminator(
            self.image_shape[0],
            conditional=conditional,
            spectral=self.config.get("spectral_norm", False),
            generator=self.noise,
        )
        self.discriminator.to(self.device)
        self.modules["discriminator"] = self.discriminator
        self.add_optimizer("discriminator", "discriminator", betas=(0.5, 0.999))

    def restore(
        self,
        images: np.ndarray,
        mask: np.ndarray | None = None,
        z: np.ndarray | None = None,
        ensemble: bool = False,
    ) -> np.ndarray:
        """Clean images from damaged ones, both (n, C, H, W) and of any size; the averaged network's.

        Args:
            images: x̃; what stands where pixels are missing is of no account.
            mask: (n, 1, H, W), 1 where a pixel is known; for a run whose damage has missing parts, and all known there
                unless given.
            z: (n, latent_dim) for a restoration GAN; zeros unless given.
            ensemble: the mean of what the network makes of the eight positions of an image, turned and mirrored (Lim et
                al. 2017, arXiv 1707.02921): a little better, and eight times the work.

        >>> from minigen.training.runs import load_system
        >>> system, _ = load_system("runs/correction-ae-1")         # doctest: +SKIP
        >>> system.restore(damaged)                                 # doctest: +SKIP
        """
        if mask is not None and not self.corruption.has_mask:
            raise ShapeError(
                f"This run was trained on {self.corruption}, where nothing is missing: leave out the mask."
            )
        if mask is None and self.corruption.has_mask:
            mask = np.ones((len(images), 1, *images.shape[2:]), np.float32)
        images = images if mask is None else fill_missing(images, mask)
        total = np.zeros(images.shape, np.float32)
        positions = [(k, mirrored) for mirrored in (False, True) for k in range(4)] if ensemble else [(0, False)]
        for k, mirrored in positions:
            placed_mask = None if mask is None else _place(mask, k, mirrored)
            total += _place(self._apply(_place(images, k, mirrored), placed_mask, z), k, mirrored, back=True)
        return (total / len(positions)).clip(0, 1)

    @no_grad()
    def _apply(self, images: np.ndarray, mask: np.ndarray | None, z: np.ndarray | None) -> np.ndarray:
        """What the averaged network makes of images, some at a time."""
        network = self.average.module.eval()
        parts = (images, mask, z)
        restored = [
            network(*(None if part is None else Tensor(part[i : i + _BATCH], device=self.device) for part in parts))
            for i in range(0, len(images), _BATCH)
        ]
        return np.concatenate([part.cpu().numpy() for part in restored]) if restored else images

    def measure(self) -> Config:
        """PSNR and SSIM of damaged and of restored held-out images."""
        images, damaged, restored = self._examples(_JUDGED)
        return {
            "damaged_psnr": psnr(damaged, images),
            "psnr": psnr(restored, images),
            "damaged_ssim": ssim(damaged, images),
            "ssim": ssim(restored, images),
        }

    def save_pictures(self, folder: Path) -> list[Path]:
        """Write restorations.png: clean, damaged and restored images."""
        from minigen.viz import save_rows

        picture = folder / "restorations.png"
        save_rows(picture, list(zip(("clean", "damaged", "restored"), self._examples(_SHOWN))))
        return [picture]

    def _examples(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Held-out images, the same damaged (within 0 and 1), and what is made of the damaged ones."""
        images = self.held_out()
        images = images[:: max(1, len(images) // n)][:n]
        damaged, mask = self.corruption(images, Generator(0))
        return images, damaged.clip(0, 1), self.restore(damaged, mask)


def _place(images: np.ndarray, k: int, mirrored: bool, back: bool = False) -> np.ndarray:
    """Images (n, C, H, W) turned by k quarters, and then mirrored or not; or back from there."""
    if back:
        return np.rot90(images[..., ::-1] if mirrored else images, -k, (2, 3))
    turned = np.rot90(images, k, (2, 3))
    return np.ascontiguousarray(turned[..., ::-1] if mirrored else turned)


class CorrectionAutoencoder(Restorer):
    """``minigen train correction-ae``: ‖x - g(f(x̃))‖² + λ·R(g(f(x̃)))."""

    name = "correction-ae"
    description = "U-Net that removes noise, blur or missing parts, squared error and a regularizer"
    options = (
        *data_options("photographs"),
        *training_options(epochs=4, batch_size=8, lr=1.5e-3, lr_schedule="cosine"),
        *_OPTIONS,
        Option(
            "regularizer",
            "none",
            "R: none, tv (total variation), edge, ssim (structure), or adversarial (a discriminator's view)",
            choices=tuple(WEIGHTS),
        ),
        Option(
            "weight",
            None,
            "λ, of the regularizer: tv 0.01, edge 0.1, ssim 0.05, adversarial 1 unless given",
            non_negative_number,
            metavar="W",
            unused_with=("regularizer", ("none",)),
        ),
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.weight = WEIGHTS[config["regularizer"]] if config["weight"] is None else config["weight"]
        self.add_optimizer("restorer", "restorer")
        if config["regularizer"] == "adversarial":
            self._add_discriminator(conditional=False)

    def train(self, session: Session) -> None:
        config = self.config
        shared: dict[str, Any] = {"corruption": self.corruption, "noise": self.noise, "average": self.average}
        shared |= {"held_out": self.held_out(), "augment": config["augment"]}
        if config["regularizer"] == "adversarial":
            train_restoration_gan(
                self.model,
                self.discriminator,
                self.optimizers["restorer"],
                self.optimizers["discriminator"],
                session,
                distance=squared_error,
                distance_weight=1.0,
                adversarial_weight=self.weight,
                **shared,
            )
        else:
            train_correction(
                self.model,
                self.optimizers["restorer"],
                session,
                regularizer=REGULARIZERS.get(config["regularizer"]),
                weight=self.weight,
                **shared,
            )


class RestorationGan(Restorer):
    """``minigen train restoration-gan``: G(x̃, z), a discriminator on restored against clean, and λ·‖y - G(x̃, z)‖₁.

    Raises:
        UserError: the Wasserstein loss without --spectral-norm.
    """

    name = "restoration-gan"
    description = "U-Net and patch discriminator that remove noise, blur or missing parts"
    options = (
        *data_options("photographs"),
        *training_options(epochs=6, batch_size=8, lr=1.5e-3, lr_schedule="cosine"),
        *_OPTIONS,
        Option("latent_dim", 8, "size of z; 0 for none", natural_number),
        Option(
            "loss",
            "non-saturating",
            f"the adversarial loss: {', '.join(GAN_LOSSES)}; wasserstein needs --spectral-norm",
            choices=tuple(GAN_LOSSES),
        ),
        Option("l1_weight", 300.0, "λ, of the mean absolute error", non_negative_number, metavar="W"),
        Option("conditional", True, "show the discriminator the damaged image too", bool),
        Option("spectral_norm", False, "hold the discriminator's layers to slopes of 1", bool),
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config["loss"] == "wasserstein" and not config["spectral_norm"]:
            raise UserError("The Wasserstein loss needs a critic whose slope is bounded: add --spectral-norm.")
        self.latent_dim = config["latent_dim"]
        self.add_optimizer("restorer", "restorer", betas=(0.5, 0.999))
        self._add_discriminator(config["conditional"])

    def train(self, session: Session) -> None:
        config = self.config
        train_restoration_gan(
            self.model,
            self.discriminator,
            self.optimizers["restorer"],
            self.optimizers["discriminator"],
            session,
            self.corruption,
            self.noise,
            self.average,
            self.held_out(),
            distance=absolute_error,
            distance_weight=config["l1_weight"] / float(np.prod(self.image_shape)),  # pix2pix's is a mean over values
            loss=GAN_LOSSES[config["loss"]],
            augment=config["augment"],
        )
