"""Module: a tree of layers that knows its parameters, its buffers and whether it is training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minigen.autograd import modes
from minigen.creation import zeros_like
from minigen.errors import UserError
from minigen.nn.parameter import Parameter
from minigen.nn.state import IncompatibleKeys, collect_state, convert, load_state
from minigen.nn.tree import members, once, walk
from minigen.tensor import Tensor


class Module:
    """The base of every layer and model.

    Subclasses call ``super().__init__()`` first, assign `Parameter`s and other modules to attributes, which registers
    them in that order, and define `forward`.

    >>> import minigen
    >>> from minigen import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter([3.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(minigen.tensor([2.0])).tolist(), [name for name, _ in scale.named_parameters()]
    ([6.0], ['factor'])

    Attributes:
        training: whether layers such as dropout and batch norm behave as in training; set by `train` and `eval`.
    """

    training: bool
    forward: Callable[..., Any]

    def __init__(self) -> None:
        self.training = True
        self._parameters: dict[str, Parameter | None] = {}
        self._buffers: dict[str, Tensor | None] = {}
        self._not_saved: set[str] = set()  # buffers that state_dict leaves out
        self._modules: dict[str, Module] = {}
        self._pre_hooks: dict[int, Callable[[Module, tuple[Any, ...]], None]] = {}
        self._hooks: dict[int, Callable[[Module, tuple[Any, ...], Any], None]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`, and the hooks around it."""
        if not hasattr(self, "forward"):
            raise NotImplementedError(f"{type(self).__name__} has no forward: define `def forward(self, input)`.")
        watch = modes.thread.state.watch
        if watch is None:
            return self._run_with_hooks(args, kwargs)
        watch.enter(self)
        try:
            return self._run_with_hooks(args, kwargs)
        finally:
            watch.leave()

    def _run_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for pre_hook in list(self._pre_hooks.values()):
            pre_hook(self, args)
        output = self.forward(*args, **kwargs)
        for hook in list(self._hooks.values()):
            hook(self, args, output)
        return output

    def register_forward_pre_hook(self, hook: Callable[[Module, tuple[Any, ...]], None]) -> Callable[[], None]:
        """Call `hook(module, inputs)` before every `forward`. Returns a function that removes the hook."""
        return _register(self._pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], None]) -> Callable[[], None]:
        """Call `hook(module, inputs, output)` after every `forward`. Returns a function that removes the hook."""
        return _register(self._hooks, hook)

    # ---- attributes -------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, (Parameter, Module)):
            what = "parameter" if isinstance(value, Parameter) else "module"
            if "_modules" not in own:
                raise UserError(
                    f"{type(self).__name__}.__init__ must call super().__init__() before it assigns the {what} {name!r}."
                )
            self._forget(name, but=own[f"_{what}s"])
            own[f"_{what}s"][name] = value
        elif name in own.get("_parameters", ()):
            if value is not None:
                raise UserError(
                    f"{name!r} is a parameter of {type(self).__name__}: assign a Parameter or None, not "
                    f"{type(value).__name__}; to change its values, use .copy_() inside `with minigen.no_grad():`."
                )
            self._parameters[name] = None
        elif name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise UserError(
                    f"{name!r} is a buffer of {type(self).__name__}: assign a Tensor or None, not {type(value).__name__}."
                )
            self._buffers[name] = value
        else:
            own.get("_modules", {}).pop(name, None)
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # called only where ordinary lookup finds nothing
        own = self.__dict__
        for kind in ("_parameters", "_modules", "_buffers"):
            found = own.get(kind)
            if found is not None and name in found:
                return found[name]
        if "_modules" not in own and not name.startswith("__"):
            raise AttributeError(
                f"{type(self).__name__}.__init__ must call super().__init__() before {name!r} is used."
            )
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}.")

    def __delattr__(self, name: str) -> None:
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: results left on attributes (a normalized weight) lose their graph."""
        return {
            name: value.detach() if isinstance(value, Tensor) and not value.is_leaf else value
            for name, value in self.__dict__.items()
        }

    def _forget(self, name: str, but: dict[str, Any] | None = None) -> bool:
        """Drop what stands under `name`, registered or not, unless it is in `but`; whether anything did."""
        kinds: tuple[dict[str, Any], ...] = (self._parameters, self._buffers, self._modules, self.__dict__)
        found = [kind for kind in kinds if name in kind and kind is not but]
        for kind in found:
            del kind[name]
        return bool(found)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; a `param` of None keeps the name for one that this module does without (``bias=False``).

        Raises:
            UserError: what is neither a `Parameter` nor None, or a name that is taken.
        """
        self._check_free(name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise UserError(f"Parameter {name!r} must be a minigen.nn.Parameter or None, not {type(param).__name__}.")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is not learned but moves and is saved with the module (running statistics).

        Args:
            persistent: whether `state_dict` holds it.

        Raises:
            UserError: what is neither a tensor nor None, or a name that is taken.
        """
        self._check_free(name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise UserError(f"Buffer {name!r} must be a Tensor or None, not {type(tensor).__name__}.")
        self._buffers[name] = tensor
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def add_module(self, name: str, module: Module) -> None:
        """Add `module` under a name that need not be a Python identifier.

        Raises:
            UserError: what is no module, or a name that is taken.
        """
        self._check_free(name, "_modules")
        if not isinstance(module, Module):
            raise UserError(f"Layer {name!r} must be a minigen.nn.Module, not {type(module).__name__}.")
        self._modules[name] = module

    def _check_free(self, name: str, kind: str) -> None:
        if "_modules" not in self.__dict__:
            raise UserError(f"{type(self).__name__}.__init__ must call super().__init__() before it adds {name!r}.")
        if not isinstance(name, str) or not name or "." in name:
            raise UserError(f"The name of a part of a module is a non-empty string without dots, not {name!r}.")
        if hasattr(self, name) and name not in self.__dict__[kind]:
            raise UserError(f"{type(self).__name__} already has an attribute {name!r}: choose another name.")

    # ---- what it is made of -----------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, with dotted names: parents first."""
        return once(walk(self, prefix))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, each once, with their names."""
        return once(self._modules.items())

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """The parameters with dotted names, in the order of assignment; one that is shared comes once.

        Args:
            prefix: put before every name.
            recurse: those of modules inside as well.
        """
        return once(members(self, "_parameters", prefix, recurse))

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, in the order of assignment; one that is shared comes once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """The buffers with dotted names, in the order of registration; one that is shared comes once.

        Args:
            prefix, recurse: as for `named_parameters`.
        """
        return once(members(self, "_buffers", prefix, recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, in the order of registration; one that is shared comes once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # ---- changing all of it -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Let every layer behave as in training (or, with False, as in `eval`)."""
        for module in self.modules():
            if module.training != mode:
                module.training = mode
                modes.Replaced.count += 1
        return self

    def eval(self) -> Self:
        """Let every layer behave as in use: dropout passes everything, batch norm takes its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Learn (or freeze) all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or set them to zero."""
        for parameter in self.parameters():
            parameter.grad = None if set_to_none or parameter.grad is None else zeros_like(parameter.grad)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below and then on this one (to initialize weights, for example)."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def to(self, *targets: Any, device: Any = None, dtype: Any = None) -> Self:
        """Move all parameters and buffers to a device, or convert those of floating point to a dtype, or both.

        The tensors stay the same objects, so that an optimizer goes on with them.

        Args:
            targets, device, dtype: as for `Tensor.to`.
        """
        convert(self, [*targets, *[named for named in (device, dtype) if named is not None]])
        return self

    def float(self) -> Self:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.to(np.float64)

    # ---- saving -----------------------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """All parameters and saved buffers by dotted name, PyTorch's names and order. They share the module's memory."""
        return collect_state(self, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers, by name.

        Args:
            state_dict: from `state_dict`, of minigen or of PyTorch: anything that `numpy.asarray` takes.
            strict: the names must be exactly this module's; otherwise those in common are loaded.

        Returns:
            The names that were missing and those that were not expected.

        Raises:
            UserError: names or shapes that do not fit, all of them listed. Nothing is loaded then.
        """
        return load_state(self, state_dict, strict)

    # ---- how it looks -----------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses of a layer; for subclasses to define."""
        return ""

    def __repr__(self) -> str:
        lines = [self.extra_repr()] if self.extra_repr() else []
        for name, child in self._modules.items():
            lines.append(f"({name}): " + repr(child).replace("\n", "\n  "))
        if not self._modules:
            return f"{type(self).__name__}({''.join(lines)})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _register(hooks: dict[int, Any], hook: Callable[..., None]) -> Callable[[], None]:
    key = max(hooks, default=0) + 1
    hooks[key] = hook
    return lambda: hooks.pop(key, None) and None
