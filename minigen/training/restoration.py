"""Training a network to restore images: clean ones are spoilt on the way in, and it learns to give them back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.data.corruptions import Corruption
from minigen.device import Device
from minigen.device import cpu as CPU
from minigen.losses.adversarial import GAN_LOSSES, GanLoss
from minigen.losses.reconstruction import squared_error
from minigen.metrics.restoration import psnr_of_mse
from minigen.models.patch_discriminator import PatchDiscriminator
from minigen.models.unet import UNet
from minigen.nn.utils import clip_grad_norm_
from minigen.optim import ExponentialMovingAverage, Optimizer
from minigen.random import Generator
from minigen.restoration.classical import fill_missing
from minigen.tensor import Tensor
from minigen.training.session import Session

Pair = Callable[[Tensor, Tensor], Tensor]  # a loss of restored images and their targets
_WATCHED = 32  # held-out images that are restored after each epoch
_STEEPEST = 20.0  # a gradient with a larger norm is shortened to this: without normalization, one bad step can ruin all


def train_correction(
    model: UNet,
    optimizer: Optimizer,
    session: Session,
    corruption: Corruption,
    noise: Generator,
    average: ExponentialMovingAverage,
    held_out: np.ndarray,
    regularizer: Pair | None = None,
    weight: float = 0.0,
    augment: bool = True,
) -> None:
    """The correction autoencoder: minimize E ‖x - g(f(x̃))‖² + λ·R(g(f(x̃))), x̃ ~ C(x̃|x) (Vincent et al. 2008).

    Every batch is spoilt anew, so that no damage is seen twice.

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        corruption: C.
        noise: where the damage and the turns of the images come from.
        average: a running average of the model's weights, which is what restores in the end.
        held_out: images (N, C, H, W) from 0 to 1 that are not trained on.
        regularizer: R, a function of the restored and the clean images.
        weight: λ.
        augment: enlarge, turn and mirror the images, and exchange their colours, at random.
    """
    for _ in session.epochs():
        for batch in session.batches(CPU):
            image, damaged, mask = spoil(batch, corruption, noise, augment, session.device)
            restored = model(damaged, mask)
            loss = squared_error(restored, image)
            session.log(error=loss)
            if regularizer is not None:
                penalty = regularizer(restored, image)
                session.log(penalty=penalty)
                loss = loss + weight * penalty

            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), _STEEPEST)
            optimizer.step()
            average.update()

        session.end_epoch(test_psnr=held_out_psnr(average.module, corruption, held_out, session.device))


def train_restoration_gan(
    generator: UNet,
    discriminator: PatchDiscriminator,
    optimizer_g: Optimizer,
    optimizer_d: Optimizer,
    session: Session,
    corruption: Corruption,
    noise: Generator,
    average: ExponentialMovingAverage,
    held_out: np.ndarray,
    distance: Pair,
    distance_weight: float,
    adversarial_weight: float = 1.0,
    loss: GanLoss = GAN_LOSSES["non-saturating"],
    augment: bool = True,
) -> None:
    """The restoration GAN (Isola et al. 2017, arXiv 1611.07004): the discriminator tells clean images from restored ones.

        L_D = -E log D(y) - E log(1 - D(G(x̃, z)))
        L_G = -E log D(G(x̃, z)) + λ·‖y - G(x̃, z)‖₁

    The real images are the *clean* ones, never the damaged; and the second term of L_G ties each restored image to its
    own target, without which any clean image would do.

    Args:
        optimizer_g, optimizer_d: of the two networks' weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        generator: G; where its latent_dim is 0, there is no z.
        discriminator: D; a conditional one is shown x̃ beside y or G(x̃, z).
        corruption, noise, average, held_out, augment: as for `train_correction`.
        distance: of restored images to their targets, `losses.restoration.absolute_error` above.
        distance_weight, adversarial_weight: of the two terms of L_G.
        loss: both sides of the adversarial term.
    """

    def restore(damaged: Tensor, mask: Tensor | None) -> Tensor:
        n, dim = damaged.shape[0], generator.latent_dim
        return generator(damaged, mask, randn(n, dim, generator=noise, device=damaged.device) if dim else None)

    for _ in session.epochs():
        for batch in session.batches(CPU):
            image, damaged, mask = spoil(batch, corruption, noise, augment, session.device)
            beside = (damaged,) if discriminator.conditional else ()

            # The discriminator: clean up, restored down.
            restored = restore(damaged, mask)
            clean_logits, restored_logits = discriminator(image, *beside), discriminator(restored.detach(), *beside)
            d_loss = loss.discriminator(clean_logits, restored_logits)
            session.log(d_loss=d_loss, d_clean=loss.opinion(clean_logits), d_restored=loss.opinion(restored_logits))

            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()

            # The generator: the same restored images up, and each towards its target.
            discriminator.requires_grad_(False)
            clean_logits = discriminator(image, *beside) if loss.relativistic else None
            g_loss = loss.generator(clean_logits, discriminator(restored, *beside))
            error = distance(restored, image)
            session.log(g_loss=g_loss, error=error)

            optimizer_g.zero_grad()
            (adversarial_weight * g_loss + distance_weight * error).backward()
            clip_grad_norm_(generator.parameters(), _STEEPEST)
            optimizer_g.step()
            discriminator.requires_grad_(True)
            average.update()

        session.end_epoch(test_psnr=held_out_psnr(average.module, corruption, held_out, session.device))


def spoil(
    batch: Tensor, corruption: Corruption, noise: Generator, augment: bool, device: Device = CPU
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Clean images, the same damaged, and where they are known.

    Half of the damaged images, by chance, are clipped to 0 and 1 as a file would have them, for the network will meet
    both. Missing pixels are filled by the smoothest surface through their borders, so that it has to learn only what
    such a surface lacks.

    Args:
        batch: (N, C, H, W) from 0 to 1.
        corruption: what damages.
        noise: where all chance comes from.
        augment: as for `train_correction`.
        device: where the results are to be.

    Returns:
        clean and damaged images, (N, C, H, W), and the mask of known pixels (N, 1, H, W) if the damage has one, or None.
    """
    image = batch.numpy()
    if augment:
        image = exchange_colours(turn(enlarge(image, noise), noise), noise)
    damaged, mask = corruption(image, noise)
    clipped = noise.integers(0, 2, (len(image), 1, 1, 1)) == 1
    damaged = np.where(clipped, damaged.clip(0, 1), damaged)
    damaged = damaged if mask is None else fill_missing(damaged, mask)
    return (
        Tensor(image, device=device),
        Tensor(damaged, device=device),
        None if mask is None else Tensor(mask, device=device),
    )


def enlarge(images: np.ndarray, generator: Generator) -> np.ndarray:
    """About half of the images (C, H, W) become a part of themselves, enlarged up to twice to their size, bicubically.

    Args:
        images: (N, C, H, W).
        generator: where the choices come from.
    """
    from scipy.ndimage import zoom

    n, _, h, w = images.shape
    images = images.copy()
    for i, (chosen, scale, down, right) in enumerate(generator.uniform((n, 4)).tolist()):
        rows, columns = round(h / (1 + scale)), round(w / (1 + scale))
        if chosen < 0.5 or min(rows, columns) < 2:
            continue
        top, left = round(down * (h - rows)), round(right * (w - columns))
        part = images[i, :, top : top + rows, left : left + columns]
        for channel, plane in enumerate(part.copy()):
            larger = zoom(plane, (h / rows, w / columns), order=3, mode="reflect", grid_mode=True)
            images[i, channel] = larger.clip(0, 1)
    return images


def turn(images: np.ndarray, generator: Generator) -> np.ndarray:
    """Each image (C, H, W) mirrored or not, upside down or not, and, where it is square, its diagonals exchanged or not.

    Args:
        images: (N, C, H, W).
        generator: where the choices come from.

    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> sorted(turn(x, Generator(0)).ravel().tolist())
    [0.0, 1.0, 2.0, 3.0]
    """
    mirrored, flipped, transposed = generator.integers(0, 2, (3, len(images))).astype(bool)
    images = images.copy()
    images[mirrored] = images[mirrored][:, :, :, ::-1]
    images[flipped] = images[flipped][:, :, ::-1]
    if images.shape[2] == images.shape[3]:
        images[transposed] = images[transposed].transpose(0, 1, 3, 2)
    return images


def exchange_colours(images: np.ndarray, generator: Generator) -> np.ndarray:
    """About half of the images (C, H, W) with their channels in any order: a few photographs show few colours.

    Args:
        images: (N, C, H, W).
        generator: where the choices come from.
    """
    key = generator.uniform(images.shape[:2])  # (N, C)
    chosen = generator.integers(0, 2, (len(images), 1)) == 1
    order = np.where(chosen, key, np.arange(images.shape[1])).argsort(axis=1)
    return np.take_along_axis(images, order[:, :, None, None], axis=1)


@no_grad()
def held_out_psnr(model: nn.Module, corruption: Corruption, held_out: np.ndarray, device: Device) -> float:
    """The mean PSNR of some held-out images, damaged the same way each time and restored with z = 0.

    Args:
        model: what restores.
        corruption: what damages.
        held_out: images (N, C, H, W) from 0 to 1.
        device: where the model is.

    Returns:
        decibels.
    """
    images = held_out[:: max(1, len(held_out) // _WATCHED)][:_WATCHED]
    damaged, mask = corruption(images, Generator(0))
    damaged = damaged if mask is None else fill_missing(damaged, mask)
    restored = model(Tensor(damaged, device=device), None if mask is None else Tensor(mask, device=device))
    errors = ((restored.cpu().numpy().clip(0, 1) - images) ** 2).mean(axis=(1, 2, 3))
    return float(np.mean([psnr_of_mse(float(error)) for error in errors]))
