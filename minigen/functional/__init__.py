"""The differentiable operations, one room per family. Names, arguments and their order are PyTorch's."""

from minigen.functional.activation import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    log_softmax,
    relu,
    selu,
    silu,
    softmax,
)
from minigen.functional.arithmetic import (
    abs,
    add,
    clamp,
    clip,
    compare,
    cos,
    div,
    erf,
    exp,
    expm1,
    invert,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    reciprocal,
    rsqrt,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from minigen.functional.convolution import conv2d, conv2d_weight_grad, conv_transpose2d
from minigen.functional.indexing import (
    embedding,
    gather,
    getitem,
    index_select,
    one_hot,
    plain_index,
    take_along_axis,
)
from minigen.functional.linalg import dot, einsum, linear, matmul, outer
from minigen.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
)
from minigen.functional.noise import dropout, dropout2d
from minigen.functional.normalization import batch_norm, group_norm, instance_norm, layer_norm
from minigen.functional.pooling import avg_pool2d, interpolate, max_pool2d, upsample
from minigen.functional.reduction import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cumsum,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    std,
    sum,
    var,
)
from minigen.functional.shape import (
    astype,
    cat,
    chunk,
    clone,
    concatenate,
    expand,
    flatten,
    flip,
    pad,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    sum_to,
    swapaxes,
    to_device,
    transpose,
    unsqueeze,
)

__all__ = [name for name in dir() if not name.startswith("_") and callable(globals()[name])]
