"""What a trained model is good for, each a plain function that takes the system of a run.

from minigen.tasks import latent_walk
from minigen.training.runs import load_system

system, _ = load_system("runs/vae-1")
images = latent_walk(system, n=8, steps=10)
"""

from minigen.tasks.anomalies import Anomalies, anomaly_scores, held_out_anomalies, left_out_classes, share_below
from minigen.tasks.augmentation import Augmentation, augment, measure_augmentation
from minigen.tasks.clusters import Clusters, cluster_codes, principal_plane
from minigen.tasks.inputs import Inputs, read_inputs
from minigen.tasks.reconstruction import Reconstructions, reconstruct
from minigen.tasks.walks import latent_manifold, latent_walk, lerp, slerp

__all__ = [
    "Anomalies",
    "Augmentation",
    "Clusters",
    "Inputs",
    "Reconstructions",
    "anomaly_scores",
    "augment",
    "cluster_codes",
    "held_out_anomalies",
    "latent_manifold",
    "latent_walk",
    "left_out_classes",
    "lerp",
    "measure_augmentation",
    "principal_plane",
    "read_inputs",
    "reconstruct",
    "share_below",
    "slerp",
]
