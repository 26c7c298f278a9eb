"""What all optimizers share: groups of parameters with their options, state for each parameter, and its saving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.autograd.modes import no_grad
from minigen.errors import GraphError, UserError
from minigen.optim.one_pass import Arrays, GiveNumbers, Numbers, OnePass
from minigen.tensor import Tensor


class Optimizer:
    """Moves parameters against their gradients, in place.

    A subclass gives one formula, `update`. Or, where the device's kernels have a compiled loop for it, it names that in
    `loop` and gives `operands`, what the loop takes, and `formula`, the same as array operations. Everything else is here:

    Args:
        params: the parameters; or dictionaries, each a group ``{"params": [...], "lr": ...}`` with options of its own.
        defaults: the options of groups that do not give them.

    Attributes:
        param_groups: the groups, dictionaries with all options and the list ``params``. Schedules change ``lr`` here.
        state: what is kept for a parameter from step to step: arrays of its shape, and the number ``step``.
        loop: the function of `minigen_kernels.cpu.updates` that does the same as `formula`; empty for none.

    Raises:
        UserError: no parameters, something that is not one, one given twice, an option out of range.
    """

    loop = ""

    def __init_subclass__(cls) -> None:
        """A class with a formula of its own leaves the loop that it inherits behind."""
        if "loop" not in cls.__dict__ and ("update" in cls.__dict__ or "formula" in cls.__dict__):
            cls.loop = ""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            advice = "its .parameters()" if hasattr(params, "parameters") else "a list of it"
            raise UserError(f"{self._name}: needs several parameters, not a {type(params).__name__}; give {advice}.")
        given = list(params)
        for group in given if given and isinstance(given[0], Mapping) else [{"params": given}]:
            self.add_param_group(group)

    def update(self, parameter: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of one parameter, in place, as array operations.

        Args:
            parameter: to be changed by its in-place methods.
            gradient: its array.
            state: this parameter's, empty before its first step.
            group: the options.
        """
        arrays, numbers = self.operands(parameter, state, group)
        self.formula(parameter, gradient, arrays, numbers())

    def operands(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> tuple[Arrays, GiveNumbers]:
        """What a step takes: arrays of the state, made where it has none yet, and a function that gives the numbers.

        Each call of the function counts one more step: a graph that is replayed (`minigen.cuda.graph`) calls it again.

        Args:
            parameter: what is moved.
            state: what is kept for it from step to step.
            group: the options.
        """
        raise NotImplementedError

    def formula(self, parameter: Tensor, gradient: Any, arrays: Arrays, numbers: Numbers) -> None:
        """One step of one parameter, in place, as array operations.

        The plain twin of the compiled loop, for other devices and for memory that the loop cannot take.

        Args:
            parameter: what is moved.
            gradient: an array of its shape.
            arrays, numbers: what `operands` returned, and what its function gives.
        """
        raise NotImplementedError

    def check(self, group: dict[str, Any]) -> None:
        """Raise a UserError where an option is out of range."""
        self._at_least_zero(group, "lr", "weight_decay")

    def step(self) -> None:
        """Update every parameter that has a gradient; those whose gradient is None are left alone.

        On a CPU, this process keeps what it frees from the first step on, up to 1 GiB, for the arrays of the next step
        (`minigen_kernels.cpu.memory`): without that, a small network waits a fifth of its time for memory.
        """
        one_pass = OnePass(self.loop)
        with no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is None:
                        continue
                    state = self.state.setdefault(parameter, {})
                    if not self.loop:
                        if modes.thread.state.capture is not None:
                            raise GraphError(
                                f"{self._name}: its update is a formula of its own, with numbers that a graph would not "
                                f"change; take SGD, Adam, AdamW or RMSprop in a step that is captured."
                            )
                        self.update(parameter, gradient.data, state, group)
                        continue
                    before = len(state)
                    arrays, numbers = self.operands(parameter, state, group)
                    if modes.thread.state.capture is not None and len(state) > before:
                        raise GraphError(
                            f"{self._name}: the state of a parameter of shape {parameter.shape} would begin anew in every "
                            f"replay, since the step that is captured is the first to make it; let the first call of the "
                            f"graph, which runs the step as it is, use this optimizer with the same options."
                        )
                    if not one_pass.takes(parameter, (gradient.data, *arrays), numbers):
                        self.formula(parameter, gradient.data, arrays, numbers())
                if modes.thread.state.capture is not None:  # the groups' options may differ from replay to replay
                    one_pass.run()
                    one_pass = OnePass(self.loop)
            one_pass.run()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with `set_to_none=False`, set them to zero, so that `step` still moves by momentum."""
        with no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if set_to_none:
                        parameter.grad = None
                    elif parameter.grad is not None:
                        parameter.grad.zero_()

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own: ``{"params": [...], "lr": ...}``."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise UserError(f"{self._name}: a parameter group is a dictionary with 'params', not {param_group!r}.")
        params = param_group["params"]
        group = {**self.defaults, **param_group, "params": [params] if isinstance(params, Tensor) else list(params)}
        if not group["params"]:
            raise UserError(f"{self._name}: there are no parameters to optimize (the list is empty).")
        known = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for i, parameter in enumerate(group["params"]):
            if not isinstance(parameter, Tensor):
                raise UserError(f"{self._name}: parameter {i} is a {type(parameter).__name__}, not a Tensor.")
            if not parameter.is_leaf:
                raise UserError(f"{self._name}: parameter {i} is the result of {parameter.grad_fn}; only leaves learn.")
            if id(parameter) in known:
                raise UserError(f"{self._name}: parameter {i}, of shape {parameter.shape}, is given twice.")
            known.add(id(parameter))
        self.check(group)
        self.param_groups.append(group)

    # ---- saving -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that a later step depends on, apart from the parameters, in PyTorch's layout.

        ``{"state": {i: {"step": …, "exp_avg": array, …}}, "param_groups": [{"lr": …, "params": [i, …]}]}``, parameters
        numbered through all groups.
        """
        number = {id(parameter): i for i, parameter in enumerate(self._parameters())}
        state = {
            number[id(parameter)]: {
                name: value if name == "step" else Tensor(value, device=parameter.device).numpy().copy()
                for name, value in kept.items()
            }
            for parameter, kept in self.state.items()
        }
        groups = [{**group, "params": [number[id(p)] for p in group["params"]]} for group in self.param_groups]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state from `state_dict`, of minigen or of PyTorch.

        Raises:
            UserError: it has other groups or shapes than this optimizer. Nothing is changed then.
        """
        saved = state_dict["param_groups"]
        sizes, expected = ([len(group["params"]) for group in groups] for groups in (saved, self.param_groups))
        if sizes != expected:
            raise UserError(
                f"{self._name}: the saved state has groups of {sizes} parameters, and this optimizer has {expected}."
            )
        order = [i for group in saved for i in group["params"]]
        restored: dict[Tensor, dict[str, Any]] = {}
        for i, parameter in zip(order, self._parameters()):
            kept = {}
            for name, value in state_dict["state"].get(i, {}).items():
                if name == "step":
                    kept[name] = int(value)
                elif value is not None:
                    array = np.asarray(value).astype(parameter.dtype, order="C")  # a copy
                    if array.shape != parameter.shape:
                        raise UserError(
                            f"{self._name}: the saved {name!r} of parameter {i} has shape {array.shape}, and the "
                            f"parameter {parameter.shape}."
                        )
                    kept[name] = parameter.device.asarray(array)
            if kept:
                restored[parameter] = kept
        self.state = restored
        modes.Replaced.count += 1
        for group, old in zip(self.param_groups, saved):
            group.update({name: _plain(value) for name, value in old.items() if name != "params"})

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The arrays of the state, copied, by flat names: ``{"0.exp_avg": …}``, the parameter's number first.

        With `state_numbers`, this is all that a checkpoint needs; `load_state` brings it back bit for bit.
        """
        state = self.state_dict()["state"]
        return {f"{i}.{name}": value for i, kept in state.items() for name, value in kept.items() if name != "step"}

    def state_numbers(self) -> dict[str, Any]:
        """The rest of the state, fit for JSON: ``{"steps": {"0": 12}, "param_groups": [{"lr": …, "params": [0]}]}``."""
        state = self.state_dict()
        steps = {str(i): kept["step"] for i, kept in state["state"].items() if "step" in kept}
        return {"steps": steps, "param_groups": state["param_groups"]}

    def load_state(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Take over the `arrays` and `numbers` that `state_arrays` and `state_numbers` returned."""
        state: dict[int, dict[str, Any]] = {}
        for i, step in numbers["steps"].items():
            state.setdefault(int(i), {})["step"] = step
        for path, array in arrays.items():
            i, _, name = path.partition(".")
            state.setdefault(int(i), {})[name] = array
        self.load_state_dict({"state": state, "param_groups": numbers["param_groups"]})

    # ---- for subclasses ---------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _at_least_zero(self, group: dict[str, Any], *names: str) -> None:
        for name in names:
            if not group[name] >= 0:
                raise UserError(f"{self._name}: {name}={group[name]} must be at least 0.")

    def _below_one(self, group: dict[str, Any], name: str, values: Iterable[float]) -> None:
        if not all(0 <= value < 1 for value in values):
            raise UserError(f"{self._name}: {name}={group[name]} must be at least 0 and less than 1.")

    def __repr__(self) -> str:
        options = [", ".join(f"{k}={v}" for k, v in g.items() if k != "params") for g in self.param_groups]
        return f"{self._name}({'; '.join(options)})"


def _plain(value: Any) -> Any:
    """JSON turns tuples into lists: back again."""
    return tuple(value) if isinstance(value, list) else value
