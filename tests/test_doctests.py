"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import minigen_kernels
import pytest

import minigen


def modules():
    for package in (minigen, minigen_kernels):
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                yield found.name


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_of_the_module_hold(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
