"""Mutants: copies of a kernel's file with one barrier taken out or one index moved, which the tests must tell apart."""

import ast
import copy
import importlib.util
import itertools

import pytest

BARRIERS = {"syncthreads", "syncwarp", "cp_async_wait"}
INDICES = {  # which arguments of these are indices, in fours
    "load4": [1],
    "nearest4": [1],
    "store4": [1],
    "cp_async16": [1, 3],
    "cp_async4": [1, 3],
    "load_up_to_4": [1],
    "store_up_to_4": [1],
    "copy_up_to_4": [1, 3],
}
NUMBER = itertools.count()


def called(node):
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)


def moved(index, by):
    return ast.BinOp(left=index, op=ast.Add(), right=ast.Constant(by))


def device_code(tree):
    """The functions of a file that run on a GPU: those without types."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if function.returns is None]


def mutations(tree):
    """For each place in the device code, what was changed there and the function that changes it, given the tree's copy."""
    for function, code in enumerate(device_code(tree)):
        for place, node in enumerate(ast.walk(code)):

            def at(tree, function=function, place=place):
                return next(itertools.islice(ast.walk(device_code(tree)[function]), place, None))

            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and called(node.value) in BARRIERS:

                def remove(tree, at=at):
                    at(tree).value = ast.Constant(None)

                yield f"line {node.lineno} without {ast.unparse(node)}", remove
            if isinstance(node, ast.Subscript):
                for axis in range(len(node.slice.elts) if isinstance(node.slice, ast.Tuple) else 1):

                    def move(tree, at=at, axis=axis):
                        node = at(tree)
                        if isinstance(node.slice, ast.Tuple):
                            node.slice.elts[axis] = moved(node.slice.elts[axis], 1)
                        else:
                            node.slice = moved(node.slice, 1)

                    yield f"line {node.lineno}, {ast.unparse(node)} with index {axis} moved", move
            if isinstance(node, ast.Call) and called(node) in INDICES:
                for argument in INDICES[called(node)]:

                    def move(tree, at=at, argument=argument):
                        at(tree).args[argument] = moved(at(tree).args[argument], 4)

                    yield f"line {node.lineno}, {ast.unparse(node)} with argument {argument} moved", move


def loaded(module, source, folder):
    """A copy of a module with this source."""
    path = folder / f"mutant_{next(NUMBER)}.py"
    path.write_text(source, encoding="utf-8")
    name = f"{module.__package__}.{path.stem}"  # of the same package, for its relative imports
    spec = importlib.util.spec_from_file_location(name, path)
    copied = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copied)
    return copied


@pytest.fixture
def mutants(tmp_path):
    """mutants(module): for each place to break in the device code of a module, what was done and the broken module."""

    def make(module):
        with open(module.__file__, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for what, change in mutations(tree):
            mutant = copy.deepcopy(tree)
            change(mutant)
            yield what, loaded(module, ast.unparse(ast.fix_missing_locations(mutant)), tmp_path)

    return make


@pytest.fixture
def changed(tmp_path):
    """changed(module, text, other): a copy of the module with other text in place of this one, wherever it stands."""

    def make(module, text, other):
        with open(module.__file__, encoding="utf-8") as file:
            source = file.read()
        assert text in source
        return loaded(module, source.replace(text, other), tmp_path)

    return make
