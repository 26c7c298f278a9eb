"""Kernels of minigen: array in, array out. They know nothing of gradients; see `reference` for what they compute."""
