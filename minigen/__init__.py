"""minigen: autograd, kernels and generative models from scratch, to read and to run."""

from minigen.random import Generator, default_generator, manual_seed

__version__ = "0.1.0"
__all__ = ["Generator", "default_generator", "manual_seed"]
