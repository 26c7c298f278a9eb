"""Pictures: grids of images, pairs of originals and reconstructions, training curves."""

from minigen.viz.curves import save_curves
from minigen.viz.grid import image_grid, save_image_grid, save_reconstructions

__all__ = ["image_grid", "save_curves", "save_image_grid", "save_reconstructions"]
