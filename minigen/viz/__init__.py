"""Pictures: images, latent spaces, points and discriminators in the plane, kernels, feature maps, curves, live training.

Every `draw_…` function returns a `Picture`, which a notebook shows and `.save(path)` writes; `save_…(path, …)` does both.
"""

from minigen.viz.anomalies import draw_anomalies, save_anomalies
from minigen.viz.clusters import draw_clusters, save_clusters
from minigen.viz.curves import draw_curves, save_curves
from minigen.viz.graph import Graph, graph
from minigen.viz.grid import draw_image_grid, image_grid, save_image_grid
from minigen.viz.latents import decode_plane, draw_manifold, draw_walks, save_manifold, save_walks
from minigen.viz.layers import draw_feature_maps, draw_kernels
from minigen.viz.picture import Picture
from minigen.viz.points import draw_paths, draw_points, save_paths, save_points
from minigen.viz.rows import (
    draw_panels,
    draw_reconstructions,
    draw_rows,
    save_panels,
    save_reconstructions,
    save_rows,
)
from minigen.viz.surface import draw_surface
from minigen.viz.tracking import LiveView, live

__all__ = [
    "Graph",
    "LiveView",
    "Picture",
    "decode_plane",
    "draw_anomalies",
    "draw_clusters",
    "draw_curves",
    "draw_feature_maps",
    "draw_image_grid",
    "draw_kernels",
    "draw_manifold",
    "draw_panels",
    "draw_paths",
    "draw_points",
    "draw_reconstructions",
    "draw_rows",
    "draw_surface",
    "draw_walks",
    "graph",
    "image_grid",
    "live",
    "save_anomalies",
    "save_clusters",
    "save_curves",
    "save_image_grid",
    "save_manifold",
    "save_panels",
    "save_paths",
    "save_points",
    "save_reconstructions",
    "save_rows",
    "save_walks",
]
