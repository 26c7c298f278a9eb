"""Every public name says what it does, names its parameters and the errors it raises, and gives shapes."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from functools import cache

import minigen_kernels

import minigen
from minigen import errors

PACKAGES = (minigen, minigen_kernels)
MODULES_ARE_IMPORTED = {"minigen.models", "minigen.restoration", "minigen.training"}
SAID_BY_THE_CLASS = {"forward"}  # of a layer: its class says what it computes, as in PyTorch
SAID_ELSEWHERE = {  # parameters that are described once, somewhere else
    "minigen.course.Trial": {"message", "tried", "got", "expected"},  # the fields of `Result`
    "minigen_kernels.cpu": {"stride", "padding", "dilation", "groups"},  # those of `ConvGeometry`
    "minigen_kernels.cuda.ladder.check_convolution": {"stride", "padding", "dilation", "groups"},
    "minigen_kernels.cuda.simulator.Traffic.note": {"kind"},  # "loads" or "stores", its two attributes
}
KNOWN_GAPS = {
    "minigen.course.Result.headline",  # its name says it
}
SHAPE = re.compile(r"\([^()]*[\w*…][^()]*,[^()]*\)|\b(shapes?|elementwise|scalar|number|batch|one axis)\b|\bShapes:")


def is_public(module):
    """Packages, and the modules of those packages that hand nothing on: there one imports from the module."""
    found = importlib.import_module(module) if not module.endswith("__main__") else None
    return found is not None and (hasattr(found, "__path__") or module.rsplit(".", 1)[0] in MODULES_ARE_IMPORTED)


@cache
def exported():
    """name -> function or class: what packages hand on, by `__all__` or else by every name without an underscore."""
    found = {}
    for top in PACKAGES:
        inside = [found.name for found in pkgutil.walk_packages(top.__path__, top.__name__ + ".")]
        for package in map(importlib.import_module, [top.__name__, *[n for n in inside if is_public(n)]]):
            for name in getattr(package, "__all__", None) or [n for n in vars(package) if not n.startswith("_")]:
                thing = getattr(package, name)
                ours = getattr(thing, "__module__", None) or ""
                if (inspect.isfunction(thing) or inspect.isclass(thing)) and ours.split(".")[0].startswith("minigen"):
                    found.setdefault(thing, f"{package.__name__}.{name}")
    return {name: thing for thing, name in found.items()}


@cache
def documented():
    """name -> (function, what is written about it): functions, classes (their `__init__`) and methods."""
    found = {}
    for name, thing in exported().items():
        if not inspect.isclass(thing):
            found[name] = (thing, thing.__doc__ or "")
            continue
        about = thing.__doc__ or ""
        start = vars(thing).get("__init__")
        written = inspect.isfunction(start) and start.__code__.co_filename != "<string>"  # not made by a dataclass
        found[name] = (start if written else None, about + ((start.__doc__ or "") if written else ""))
        for method, function in methods(thing):
            inherited = [vars(base).get(method) for base in thing.__mro__[1:]]
            said = [text for text in (function.__doc__, *[getattr(f, "__doc__", None) for f in inherited]) if text]
            if isinstance(vars(thing)[method], property) and re.search(rf"^ +[\w, ]*\b{method}\b[\w, ]*:", about, re.M):
                said.append(about)  # among the attributes
            found[f"{name}.{method}"] = (function, "\n".join([*said, about] if said else []))
    return found


def methods(thing):
    """name -> the public methods that a class defines itself, a property by the function behind it."""
    for name, value in vars(thing).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(function) and name not in SAID_BY_THE_CLASS:
            yield name, function


def with_references(text):
    """The text, and those of the public names that it refers to: “as for `draw_grid`”."""
    ends = {name.split(".")[-1]: about for name, (_, about) in documented().items()}
    words = re.findall(r"\b[Aa]s (?:for |in )?`([\w.]+)[^`]*`", text)
    return "\n".join([text, *[_written_about(word, ends) for word in words]])


def _written_about(word, ends):
    if word.startswith("minigen"):
        return pkgutil.resolve_name(word).__doc__ or ""
    return ends.get(word.split(".")[-1], "")


def test_every_public_name_is_documented():
    missing = [name for name, (_, about) in documented().items() if not about.strip() and name not in KNOWN_GAPS]
    assert missing == []


def test_every_parameter_is_named_where_there_are_several():
    unnamed = {}
    for name, (function, about) in documented().items():
        if function is None:
            continue
        parameters = [p for p in inspect.signature(function).parameters if p not in ("self", "cls", "args", "kwargs")]
        text = with_references(with_references(about))
        known = set().union(*[words for place, words in SAID_ELSEWHERE.items() if name.startswith(place)])
        left = [p for p in parameters if p not in known and not re.search(rf"\b{p}\b", text)]
        if len(parameters) > 1 and left:
            unnamed[name] = left
    assert unnamed == {}


def test_every_user_error_that_a_function_raises_itself_is_named():
    unnamed = set()
    for name, (function, about) in documented().items():
        if function is None or name in KNOWN_GAPS:
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            called = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
            error = getattr(errors, "UserError" if called == "unknown_name" else called, None)
            if inspect.isclass(error) and issubclass(error, errors.UserError):
                names = [base.__name__ for base in error.__mro__ if issubclass(base, errors.UserError)]
                if not any(re.search(rf"\b{word}\b", with_references(about)) for word in names):
                    unnamed.add((name, called))
    assert sorted(unnamed) == []


def test_every_function_of_tensors_gives_shapes():
    without = []
    for name, (function, about) in documented().items():
        if function is None:
            continue
        taken = [str(kind) for word, kind in inspect.get_annotations(function).items() if word != "return"]
        if any(re.search(r"\bTensor\b", kind) for kind in taken) and not SHAPE.search(with_references(about)):
            without.append(name)
    assert without == []
