"""Kernels of minigen: array in, array out. They know nothing of gradients.

Three modules offer the same functions with the same arguments: `reference` (plain loops, the truth), `cpu` (Numba and
BLAS) and `cuda.production` (a GPU, or its simulator). Importing this package imports none of them. The letters of shapes,
everywhere:

    N batch   C input channels   H, W input height and width   G groups
              O output channels  OH, OW output height and width
              KH, KW kernel height and width

The convolution family is three bilinear maps, each the others' derivative, between x (N, C, H, W),
w (O, C/G, KH, KW) and y (N, O, OH, OW):

    y = C(x, w) = conv2d              the convolution (a correlation, as everywhere in this field)
    x = T(y, w) = conv_transpose2d    <C(x, w), y> = <x, T(y, w)>
    w = W(x, y) = conv2d_weight_grad  <C(x, w), y> = <w, W(x, y)>

All three share one indexing: y[n, o, i, j] and x[n, c, h, w] meet at the kernel's tap (p, q) where

    h = sh * i - top + dh * p        w = sw * j - left + dw * q
"""
