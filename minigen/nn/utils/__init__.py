"""Things done to modules and gradients from outside: spectral normalization, clipping."""

from minigen.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from minigen.nn.utils.spectral_norm import spectral_norm

__all__ = ["clip_grad_norm_", "clip_grad_value_", "spectral_norm"]
