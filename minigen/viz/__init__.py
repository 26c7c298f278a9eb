"""Pictures: grids of images, pairs of originals and reconstructions, samples in the plane, training curves."""

from minigen.viz.curves import save_curves
from minigen.viz.grid import image_grid, save_image_grid, save_reconstructions
from minigen.viz.points import save_points

__all__ = ["image_grid", "save_curves", "save_image_grid", "save_points", "save_reconstructions"]
