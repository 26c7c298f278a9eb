"""Layers and what they are made of. Names, arguments and their order are PyTorch's, and so are the names of weights."""

from minigen.nn import init, utils
from minigen.nn.activation import (
    ELU,
    GELU,
    SELU,
    Hardtanh,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from minigen.nn.batchnorm import BatchNorm1d, BatchNorm2d, InstanceNorm2d
from minigen.nn.container import ModuleList, Sequential
from minigen.nn.convolution import Conv2d, ConvTranspose2d
from minigen.nn.dropout import Dropout, Dropout2d
from minigen.nn.embedding import Embedding
from minigen.nn.linear import Identity, Linear
from minigen.nn.module import Module
from minigen.nn.normalization import GroupNorm, LayerNorm
from minigen.nn.parameter import Parameter
from minigen.nn.pooling import AvgPool2d, MaxPool2d, Upsample
from minigen.nn.shape import Flatten, Unflatten
from minigen.nn.summary import Summary, summary

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Hardtanh",
    "Identity",
    "InstanceNorm2d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Summary",
    "Tanh",
    "Unflatten",
    "Upsample",
    "init",
    "summary",
    "utils",
]
