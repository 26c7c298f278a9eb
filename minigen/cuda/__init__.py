"""What only a GPU has: training steps captured as graphs."""

from minigen.cuda.graph import graph

__all__ = ["graph"]
