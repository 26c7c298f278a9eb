"""Activations as layers. Formulas and sources are with the functions of the same names in `minigen.functional`.

`inplace` is taken where PyTorch takes it, so that its programs run as they are, and shown by `repr`; the result is a
new tensor all the same, and the input keeps its values.
"""

from __future__ import annotations

from minigen import functional as F
from minigen.nn.module import Module
from minigen.tensor import Tensor


class ReLU(Module):
    """max(x, 0). Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.ReLU()(minigen.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """x where x > 0, else negative_slope·x (Maas et al. 2013). Shapes: any, output the same; `inplace` as for `ELU`.

    >>> import minigen
    >>> minigen.nn.LeakyReLU(0.2)(minigen.tensor([-1.0, 2.0]))
    tensor([-0.2,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + _inplace(self.inplace)


class ELU(Module):
    """x where x > 0, else alpha·(eˣ - 1) (Clevert et al. 2016, arXiv 1511.07289).

    Args:
        alpha: how far below 0 it goes.
        inplace: taken as PyTorch takes it; the result is a new tensor all the same.

    Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.ELU()(minigen.tensor([-100.0, 2.0]))
    tensor([-1.,  2.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + _inplace(self.inplace)


class SELU(Module):
    """The scaled ELU that keeps mean 0 and variance 1. Shapes: any, output the same.

    Klambauer et al. 2017, arXiv 1706.02515.

    >>> import minigen
    >>> minigen.nn.SELU()(minigen.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class GELU(Module):
    """x·Φ(x), Φ the normal distribution function; ``approximate='tanh'`` for a cheaper form. Shapes: any, output the same.

    Hendrycks & Gimpel 2016, arXiv 1606.08415.

    >>> import minigen
    >>> minigen.nn.GELU()(minigen.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x·σ(x), also called swish (Ramachandran et al. 2017, arXiv 1710.05941). Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.SiLU()(minigen.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardtanh(Module):
    """x kept within [min_val, max_val]. Shapes: any, output the same; `inplace` as for `ELU`.

    >>> import minigen
    >>> minigen.nn.Hardtanh(0.0, 6.0)(minigen.tensor([-3.0, 3.0, 9.0]))
    tensor([0., 3., 6.])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}" + _inplace(self.inplace)


class Softplus(Module):
    """ln(1 + e^(βx))/β, β = `beta`; x itself where βx > threshold. Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.Softplus()(minigen.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.    ])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Tanh(Module):
    """The hyperbolic tangent. Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.Tanh()(minigen.tensor([-1.0, 0.0]))
    tensor([-0.7616,  0.    ])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Sigmoid(Module):
    """σ(x) = 1/(1 + e⁻ˣ). Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.Sigmoid()(minigen.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5   , 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Softmax(Module):
    """e^(xᵢ)/Σⱼ e^(xⱼ) over the axis `dim`. Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.Softmax(1)(minigen.tensor([[0.0, 0.0, 1.0986123]]))
    tensor([[0.2, 0.2, 0.6]])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """xᵢ - ln Σⱼ e^(xⱼ) over the axis `dim`. Shapes: any, output the same.

    >>> import minigen
    >>> minigen.nn.LogSoftmax(1)(minigen.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def _inplace(inplace: bool) -> str:
    return ", inplace=True" if inplace else ""
