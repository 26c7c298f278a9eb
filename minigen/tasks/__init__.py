"""What a trained model is good for, each a plain function that takes the system of a run.

from minigen.tasks import latent_walk
from minigen.training.runs import load_system

system, _ = load_system("runs/vae-1")
images = latent_walk(system, n=8, steps=10)
"""

from minigen.tasks.walks import latent_manifold, latent_walk, lerp, slerp

__all__ = ["latent_manifold", "latent_walk", "lerp", "slerp"]
