"""Pictures: grids and rows of images, samples and lines in the plane, training curves."""

from minigen.viz.anomalies import save_anomalies
from minigen.viz.clusters import save_clusters
from minigen.viz.curves import save_curves
from minigen.viz.grid import image_grid, save_image_grid
from minigen.viz.points import save_paths, save_points
from minigen.viz.rows import save_panels, save_reconstructions, save_rows

__all__ = [
    "image_grid",
    "save_anomalies",
    "save_clusters",
    "save_curves",
    "save_image_grid",
    "save_panels",
    "save_paths",
    "save_points",
    "save_reconstructions",
    "save_rows",
]
