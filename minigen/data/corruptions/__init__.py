"""What spoils an image: noise, blur, missing parts. `make_corruption("noise:sigma=25")` makes one from its name.

`noise`, `blur` and `missing` hold the kinds, one function each; `spec` reads what a person wrote.
"""

from minigen.data.corruptions.blur import gaussian_kernel, motion_kernel
from minigen.data.corruptions.spec import KINDS, Corruption, known_kinds, make_corruption

__all__ = ["KINDS", "Corruption", "gaussian_kernel", "known_kinds", "make_corruption", "motion_kernel"]
