"""`compile`: a function's kernels are recorded once for each kind of call and replayed with new inputs.

The first call of a kind runs as ever: optimizers make their state, kernels compile. The second is watched (see
capture.py), and what it leaves to be computed is planned as one graph. From the third on only the kernels of that plan
run: no op of the function is called again.
"""

from __future__ import annotations

import dis
import functools
import operator
import threading
import time
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from . import capture, dtypes, engine, grad_mode, graph, joined, kernels, plans, precision, reproducible
from .codegen import pack_scalar
from .errors import CompileError
from .interrupts import held_back
from .tensor import Tensor, view_of
from .utils.pytree import TreeSpec, tree_flatten, tree_unflatten

__all__ = ["CompileError", "compile"]

MAX_RECORDINGS = 16  # kinds of calls that one function remembers; the least recently used goes first
PLAIN = (bool, int, float, str, bytes, complex, type(None), types.EllipsisType)


def compile(model: Any = None, *, fullgraph: bool = True, dynamic: bool | None = None, backend: Any = None,
            mode: str | None = None, options: dict | None = None, disable: bool = False) -> Any:  # fmt: skip
    """A function (or `nn.Module`) whose kernels are recorded once and then replayed, at the cost of launching them.

    The function may compute anything on webgpu tensors: a forward pass without gradients, or a whole training step with
    `backward`, an optimizer's step, in-place updates and random numbers. Arguments are tensors, plain numbers and strings,
    and tuples, lists and dicts of them. A call whose shapes, dtypes, plain arguments, gradient mode or reachable settings
    (`module.training`, an optimizer's options, plain variables) differ from all before is recorded anew; at most 16 kinds
    of calls are kept. What cannot be replayed (tensors on the cpu, results with a history that backward has not yet used)
    runs as it is; a loss whose backward ran inside is returned without its used-up history.

    Raises CompileError, with the line, where the function reads a tensor's value on the host, changes a Python variable,
    or computes with arguments on the cpu: a replay would not do it again. `fullgraph=False` runs such functions
    uncompiled after one warning. `dynamic`, `backend`, `mode` and `options` are accepted as in PyTorch and change nothing.

    >>> import webtorch
    >>> @webtorch.compile
    ... def scaled(x, factor):
    ...     return (x * factor).relu()
    >>> [scaled(webtorch.tensor([-1.0, value]), 2.0).tolist() for value in (1.0, 2.0, 3.0)]
    [[0.0, 2.0], [0.0, 4.0], [0.0, 6.0]]
    """
    if model is None:
        return functools.partial(
            compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable
        )
    if not callable(model):
        raise TypeError(f"compile({type(model).__name__}): expected a function or an nn.Module")
    if disable:
        return model
    from .nn.module import Module

    if isinstance(model, Module):
        return compiled_module(model, fullgraph)
    return functools.update_wrapper(Compiled(model, fullgraph), model, updated=())


def compiled_module(model: Any, fullgraph: bool) -> Any:
    """A module around `model`, whose call is compiled; parameters and all else are those of the original (`_orig_mod`)."""
    from .nn.module import Module

    class OptimizedModule(Module):
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = model
            self.__dict__["_compiled"] = Compiled(model.__call__, fullgraph)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.__dict__["_compiled"](*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("_orig_mod"), name)

    made = OptimizedModule()
    made.training = model.training
    return made


class Compiled:
    """What `compile` returns for a function."""

    def __init__(self, function: Callable, fullgraph: bool) -> None:
        self.function = function
        self.fullgraph = fullgraph
        self.recordings: OrderedDict[tuple, Recording | None | str] = OrderedDict()
        self.latest: dict[tuple, Recording] = {}  # by signature alone, with a guard for the rest
        self.given_up = False
        self._lock = threading.RLock()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<compiled {name_of(self.function)}, {sum(isinstance(r, Recording) for r in self.recordings.values())} recordings>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.given_up or capture.watching is not None:  # inside another compiled function: part of it
            return self.function(*args, **kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        devices = {leaf.device.type for leaf in leaves if isinstance(leaf, Tensor)}
        if devices and "webgpu" not in devices:
            return self.function(*args, **kwargs)
        with self._lock:
            tensors, signature = self.signature(leaves, spec)
            recording = self.latest.get(signature)
            if recording is not None and recording.guard.holds() and recording.still_good():
                return recording.replay(tensors)
            guard = Guard()
            key = (signature, surroundings(self.function, guard))
            known = self.recordings.get(key)
            if isinstance(known, Recording):
                if known.still_good():
                    self.recordings.move_to_end(key)
                    known.guard = guard
                    self.latest[signature] = known
                    return known.replay(tensors)
                known = self.recordings[key] = "seen"
            if known == "as it is":
                return self.function(*args, **kwargs)
            try:
                result, recorded = record(self.function, args, kwargs, tensors, known == "seen")
            except CompileError as error:
                if self.fullgraph:
                    raise
                warnings.warn(f"{error} (it runs uncompiled)", RuntimeWarning, stacklevel=2)
                self.given_up = True
                self.recordings.clear()
                return self.function(*args, **kwargs)
            self.recordings[key] = recorded
            while len(self.recordings) > MAX_RECORDINGS:
                self.recordings.popitem(last=False)
                self.latest.clear()
            return result

    def signature(self, leaves: list, spec: TreeSpec) -> tuple[list[Tensor], tuple]:
        """The tensors among the arguments, and what a recording depends on besides the function's surroundings."""
        tensors: list[Tensor] = []
        parts: list[Any] = []
        first: dict[int, int] = {}
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                node = leaf._storage.node
                same = first.setdefault(id(leaf._storage), len(tensors))
                parts.append(
                    (leaf._shape, leaf._strides, leaf._offset, node.dtype, node.device.type, node.size, same,
                     leaf.requires_grad, has_gradient(leaf), bool(leaf._batch))
                )  # fmt: skip
                tensors.append(leaf)
            elif isinstance(leaf, PLAIN) or hasattr(leaf, "itemsize"):
                parts.append((type(leaf), leaf))
            else:
                try:
                    hash(leaf)
                except TypeError:
                    raise CompileError(
                        f"compile({name_of(self.function)}): an argument of type {type(leaf).__name__} is not hashable, so calls "
                        "with it cannot be told apart; pass tensors, numbers, strings, and tuples, lists and dicts of them"
                    ) from None
                parts.append(leaf)
        state = grad_mode.current()
        modes = (state.grad, state.inference, dtypes.get_default_dtype(), engine.variant, modes_in_force())
        return tensors, (repr(spec), tuple(parts), modes)


def modes_in_force() -> tuple:
    """Settings of the process that change what ops do."""
    from . import determinism

    return determinism.are_deterministic_algorithms_enabled(), precision.current(), reproducible.settings["on"]


def has_gradient(tensor: Tensor) -> str:
    return NO_GRADIENT if tensor._grad is None else GRADIENT


GRADIENT, NO_GRADIENT = "has a gradient", "has no gradient"


def name_of(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__


# ---- what a function can see ----------------------------------------------------------------------------------------


class Guard:
    """Questions with the answers they had: whether a function's surroundings are as they were, at little cost."""

    __slots__ = ("answers",)

    def __init__(self) -> None:
        self.answers: list[tuple[Callable, Any, Any]] = []

    def ask(self, question: Callable, argument: Any) -> Any:
        answer = question(argument)
        self.answers.append((question, argument, answer))
        return answer

    def holds(self) -> bool:
        try:
            for question, argument, expected in self.answers:
                answer = question(argument)
                if answer is not expected and (type(answer) not in PLAIN_SET or answer != expected):
                    return False
        except (AttributeError, KeyError, IndexError, ValueError):  # what was asked about is no longer there
            return False
        return True


PLAIN_SET = frozenset(PLAIN)
ATTRIBUTES: dict[str, Callable] = {}


def attribute(name: str) -> Callable:
    """The question for an attribute of that name."""
    question = ATTRIBUTES.get(name)
    if question is None:
        question = ATTRIBUTES[name] = operator.attrgetter(name)
    return question


def variables(function: Any, guard: Guard) -> dict[str, Any]:
    """The variables around a function that it names: of its closure, its module, its defaults, and its own object."""
    found: dict[str, Any] = {}
    while isinstance(function, functools.partial):
        found.update({f"argument {number}": value for number, value in enumerate(function.args)})
        found.update(function.keywords)
        function = function.func
    if isinstance(function, types.MethodType):
        found["self"] = function.__self__
        function = function.__func__
    code = getattr(function, "__code__", None)
    if code is None:
        if not isinstance(function, type):
            found["self"] = function
        return found
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = guard.ask(attribute("cell_contents"), cell)
        except ValueError:  # not assigned yet
            found[name] = None
    for names in code_names(code):
        for name in names:
            if name in function.__globals__:
                found[name] = guard.ask(function.__globals__.__getitem__, name)
    for number, value in enumerate(function.__defaults__ or ()):
        found[f"default {number}"] = value
    return found


@functools.lru_cache(maxsize=1024)
def code_names(code: types.CodeType) -> tuple:
    """The names of global variables in a function's code and in the functions inside it."""
    inner = [
        names for constant in code.co_consts if isinstance(constant, types.CodeType) for names in code_names(constant)
    ]
    return (code.co_names, *inner)


def surroundings(function: Any, guard: Guard) -> tuple:
    """What is seen of the variables around `function`, as a key; `guard` notes the questions that were asked."""
    seen: set[int] = set()
    return tuple((name, look(value, seen, 0, guard)) for name, value in variables(function, guard).items())


def look(value: Any, seen: set[int], depth: int, guard: Guard) -> Any:
    """An object as far as what a function computes may depend on it, without the values of tensors on a GPU."""
    if isinstance(value, PLAIN):
        return (type(value), value)
    if isinstance(value, (types.ModuleType, type, types.BuiltinFunctionType)) or depth > 4:
        return id(value)
    if isinstance(value, Tensor):
        return look_at_tensor(value, guard)
    if id(value) in seen:
        return id(value)
    from .nn.module import Module
    from .optim.optimizer import Optimizer

    seen.add(id(value))
    ask = guard.ask
    if isinstance(value, Module):
        parts: list[Any] = [id(value), ask(attribute("training"), value)]
        for hooks in (value._forward_hooks, value._forward_pre_hooks):
            parts.append(ask(len, hooks))
        for held in (value._parameters, value._buffers, value._modules):
            for name in held:
                entry = ask(held.__getitem__, name)
                if name == "num_batches_tracked":  # counted on the cpu, also by replays
                    continue
                parts.append((name, None if entry is None else look(entry, seen, 0, guard)))
        for name, entry in value.__dict__.items():
            if name not in MODULE_FIELDS and isinstance(entry, (*PLAIN, tuple, list, dict, Tensor)):
                parts.append((name, look(ask(value.__dict__.__getitem__, name), seen, depth + 1, guard)))
        return tuple(parts)
    if isinstance(value, Optimizer):
        parts = [id(value), f"state of {ask(len, value.state)}"]
        for group in value.param_groups:
            for name in group:
                if name != "lr" or not value.replayable:
                    parts.append((name, look(ask(group.__getitem__, name), seen, depth + 1, guard)))
        return tuple(parts)
    if isinstance(value, tuple):
        return tuple(look(entry, seen, depth + 1, guard) for entry in value)
    if isinstance(value, (set, frozenset)):
        return (id(value), ask(len, value), *(look(entry, seen, depth + 1, guard) for entry in value))
    if isinstance(value, list):
        ask(len, value)
        return (id(value), *(look(ask(value.__getitem__, n), seen, depth + 1, guard) for n in range(len(value))))
    if isinstance(value, dict):
        ask(len, value)
        return (
            id(value),
            *((repr(name), look(ask(value.__getitem__, name), seen, depth + 1, guard)) for name in list(value)),
        )
    if isinstance(value, types.FunctionType):
        if value.__module__ and value.__module__.partition(".")[0] == __package__:
            return id(value)
        found = variables(value, guard)
        return (id(value), *((name, look(entry, seen, depth + 1, guard)) for name, entry in found.items()))
    if type(value).__module__.partition(".")[0] == __package__ or not hasattr(value, "__dict__"):
        return id(value)
    held = vars(value)
    return (id(value), *((name, look(ask(held.__getitem__, name), seen, depth + 1, guard)) for name in list(held)))


def look_at_tensor(tensor: Tensor, guard: Guard) -> tuple:
    storage = guard.ask(attribute("_storage"), tensor)
    version = guard.ask(attribute("version"), storage) if tensor.device.type == "cpu" else 0
    requires_grad = guard.ask(attribute("_leaf_requires_grad"), tensor)
    return (id(tensor), id(storage), tensor._shape, requires_grad, guard.ask(has_gradient, tensor), version)


MODULE_FIELDS = frozenset(
    ("training", "_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks", "forward", "_orig_mod")
)


def changed(function: Any, before: tuple) -> None:
    """Raise CompileError when the variables around `function` are others than `before` it ran."""
    for (name, old), (_, new) in zip(before, surroundings(function, Guard()), strict=True):
        if old != new and not only_gradients(old, new):
            raise CompileError(
                f"compile({name_of(function)}): the function changes {name!r}, at {place_of(function, name)}; a replay would "
                "not: keep what changes in tensors (x.add_(1)), or change it outside the function"
            )


def only_gradients(old: Any, new: Any) -> bool:
    """Whether two looks differ in nothing but whether tensors have a gradient and an optimizer a state."""
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return all(only_gradients(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, str) and isinstance(new, str) and old.startswith("state of "):
        return new.startswith("state of ")
    return old == new or {old, new} == {GRADIENT, NO_GRADIENT}


def place_of(function: Any, name: str) -> str:
    """Where a function changes a variable: the line of the first instruction that stores to that name."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return name_of(function)
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        where = instruction.positions.lineno if instruction.positions else None
        if instruction.argval == name and where:
            line = where
            if instruction.opname.startswith("STORE"):
                break
    return f"{code.co_filename}:{line}"


# ---- recording ------------------------------------------------------------------------------------------------------


def record(function: Callable, args: tuple, kwargs: dict, tensors: list[Tensor], whole: bool) -> tuple[Any, Any]:
    """Run a function watched. Its result, and what to do next time: "seen", "as it is", or a recording if `whole`."""
    with engine._lock:
        on_gpu = any(tensor.device.type == "webgpu" for tensor in tensors)
        engine.realize_pending()
        before = surroundings(function, Guard())
        watch = capture.Watch(name_of(function), tensors)
        capture.begin(watch)
        try:
            result = function(*args, **kwargs)
        finally:
            capture.end()
        leaves, spec = tree_flatten(result)
        made = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        devices = {storage.node.device.type for storage, _ in watch.written.values()}
        if not on_gpu and "webgpu" not in devices | {tensor.device.type for tensor in made}:
            return result, "as it is"  # all of it happens on the host, each time
        changed(function, before)
        lasting = [tensor._grad for tensor, _ in watch.gradients.values() if tensor._grad is not None]
        if any(tensor._batch or has_open_graph(tensor) for tensor in (*made, *lasting)):
            return result, "as it is"
        if any(tensor.device.type != "webgpu" for tensor in made) or devices - {"webgpu"}:
            return result, "as it is"
        if not whole:
            engine.realize_pending()
            return result, "seen"
        try:
            recording = Recording(watch, tensors, leaves, spec)
        except Unreplayable:
            return result, "as it is"
        return result, recording


def has_open_graph(tensor: Tensor) -> bool:
    """Whether somebody may still call backward from a tensor: it has a history that no backward has used up."""
    stack = [tensor.grad_fn]
    seen: set[int] = set()
    if tensor.grad_fn is None:
        return False
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if getattr(node, "saved", False) is None:
            return False
        stack += [edge[0] for edge in node.edges if edge is not None]
    return True


class Unreplayable(Exception):
    """The graph holds something that only running the function again can give."""


class Recording:
    """The plan of one watched call, and where its values come from and go to.

    Storages are found anew at each replay: those of arguments by position, those of gradients through their tensor, and
    the others (parameters, buffers, an optimizer's state) are the very ones that the watched call used.
    """

    def __init__(self, watch: capture.Watch, tensors: list[Tensor], leaves: list, spec: TreeSpec) -> None:
        from .backends import wgpu as backend

        self.guard = Guard()
        self.device = backend.get_device()
        self.limits = engine.limits_of(self.device)
        self.spec = spec
        self.host = watch.host
        self.finders: dict[int, tuple] = {}  # id of a storage -> how to find it
        for number, tensor in enumerate(tensors):
            self.finders.setdefault(id(tensor._storage), ("argument", number))
        for tensor, gradient in watch.gradients.values():
            if gradient is not None:
                self.finders.setdefault(id(gradient._storage), ("gradient", owner(tensor, tensors)))
        gradients = [
            (tensor, tensor._grad) for tensor, before in watch.gradients.values() if tensor._grad is not before
        ]
        # What has to be in memory at the end: the new values of storages, and those of the storages that the call made.
        written = [storage for storage, _ in watch.written.values()]
        lasting = [leaf for leaf in leaves if isinstance(leaf, Tensor)] + [
            grad for _, grad in gradients if grad is not None
        ]
        fresh = {id(tensor._storage): tensor._storage for tensor in lasting if tensor._storage in watch.created}
        pending = [storage.node for storage in (*written, *fresh.values())] + [check for check, _, _ in engine._checks]
        targets = list({id(node): node for node in pending if node.buffer is None}.values())
        if not targets:
            raise Unreplayable
        del pending
        whole = plans.Graph(targets)
        self.count = count = len(whole.nodes)
        places = {name: at if at >= 0 else count + ~at for name, at in whole.places.items()}
        earlier = {id(node): storage for storage, node in watch.written.values()}
        self.sources = [self.source(leaf, earlier, watch) for leaf in whole.leaves]
        self.checks = [(places[id(check)], verdict) for check, verdict, _ in engine._checks if id(check) in places]
        self.writes: list[tuple[tuple, Any]] = [
            (self.finder(storage), self.value(storage.node, places, earlier, watch)) for storage in written
        ]
        self.fresh: list[Any] = [self.value(storage.node, places, earlier, watch) for storage in fresh.values()]
        numbers = {name: number for number, name in enumerate(fresh)}
        self.outputs = [self.handle(leaf, tensors, numbers) for leaf in leaves]
        self.gradients = [
            (owner(tensor, tensors), None if grad is None else self.handle(grad, tensors, numbers))
            for tensor, grad in gradients
        ]
        live = {
            (position, name): value
            for position, node in enumerate(whole.nodes)
            for name, value in (
                *((number, argument.value) for number, argument in enumerate(node.args) if hasattr(argument, "value")),
                *node.attributes.items(),
            )
            if isinstance(value, (capture.Live, capture.LiveInteger))
        }
        shapes = [(node.op, node.shape, node.dtype, node.device) for node in whole.nodes]
        known = plans.known(whole, self.limits)
        words = None if known is None else [step.parameters([*whole.nodes, *whole.leaves]) for step in known.steps]
        with held_back() as held:
            plan = plans.run(whole, self.device, self.limits, held)
        if plan is None:
            raise Unreplayable
        self.plan = plan
        self.parameters = words if words is not None else [step.words for step in plan.steps]
        self.live = [
            (number, at, dtype, live[position, name])
            for number, step in enumerate(plan.steps)
            for at, dtype, position, name in step.patches
            if (position, name) in live
        ]
        self.kept = {
            at
            for at in (*self.fresh, *(at for _, at in self.writes), *(at for at, _ in self.checks))
            if type(at) is int
        }
        self.lay_out(shapes)

    def lay_out(self, shapes: list) -> None:
        """Give values that nobody sees after a replay memory of their own for good: it is the same every time, so their
        bindings are, too. Two of them share memory when the kernels that use them do not overlap."""
        moving = set(self.kept)
        for step in self.plan.steps:
            if step.target is not None:  # who takes over whose memory is decided when it runs
                moving.add(step.target)
            if step.target is not None or step.joint is not None:
                moving.update(at for at, _, _ in step.outputs)
        sharing = self.plan.sharing
        self.sharing = [[one for one in together if one[0] in moving] for together in sharing]
        steady = joined.Shared([[one for one in together if one[0] not in moving] for together in sharing], self.device)
        free: dict[int, list[Any]] = {}
        held: dict[int, Any] = {}
        self.steady: dict[int, graph.Node] = {}
        self.nodes: list[tuple] = []
        self.launches: list[tuple] = []
        for step in self.plan.steps:
            for at, _, nbytes in step.outputs:
                if at in moving:
                    self.nodes.append((at, *shapes[at]))
                    continue
                room = free.get(nbytes) if at not in steady.sharing else None
                inputs = [self.steady[place] for place, _ in step.inputs if place in held]
                held[at] = buffer = room.pop() if room else steady.allocate(at, nbytes, inputs)
                op, shape, dtype, where = shapes[at]
                node = self.steady[at] = graph.Node(op, (), {}, shape, dtype, where)
                node.buffer = buffer
            bindings: list[Any] = []
            places = [*step.inputs, *((at, spans) for at, spans, _ in step.outputs)]
            for at, spans in places:
                bindings += [(held.get(at), offset, size) for offset, size in spans]
            open_places = []
            number = 0
            for at, spans in places:
                for offset, size in spans:
                    if at not in held:
                        open_places.append((number, at, offset, size))
                    number += 1
            fresh = tuple((at, nbytes) for at, _, nbytes in step.outputs if at in moving)
            leaving = tuple(at for at in step.done if at not in held)
            self.launches.append((step, bindings, tuple(open_places), fresh, leaving))
            for at in step.done:
                if at in held:
                    buffer = held.pop(at)
                    if buffer.whole is None:  # a part has neighbours, which the next kernel may read
                        free.setdefault(self.steady[at].nbytes, []).append(buffer)

    def finder(self, storage: Any) -> tuple:
        """How a replay finds a storage that was there before the call."""
        return self.finders.setdefault(id(storage), ("storage", storage))

    def source(self, leaf: graph.Node, earlier: dict[int, Any], watch: capture.Watch) -> tuple:
        """Where a replay finds a value that the graph starts at."""
        if id(leaf) in earlier:  # a storage held it when the call began
            return self.finder(earlier[id(leaf)])
        storage = leaf.storage() if leaf.storage is not None else None
        if storage is not None and storage.node is leaf and storage not in watch.created:
            return self.finder(storage)
        return ("constant", leaf)

    def value(self, node: graph.Node, places: dict[int, int], earlier: dict, watch: capture.Watch) -> Any:
        """A value of the end: the place of a node in the graph, or a source where the graph does not compute it."""
        return places[id(node)] if node.buffer is None else self.source(node, earlier, watch)

    def handle(self, leaf: Any, tensors: list[Tensor], numbers: dict[int, int]) -> tuple:
        """How a replay makes a part of the result."""
        if not isinstance(leaf, Tensor):
            return ("plain", leaf)
        for number, tensor in enumerate(tensors):
            if leaf is tensor:
                return ("argument", number)
        geometry = (leaf._shape, leaf._strides, leaf._offset)
        if id(leaf._storage) in numbers:
            return ("fresh", numbers[id(leaf._storage)], geometry)
        return ("plain", leaf) if leaf._leaf_requires_grad else ("view", self.finder(leaf._storage), geometry)

    def still_good(self) -> bool:
        from .backends import wgpu as backend

        device = backend.get_device()
        return device is self.device and engine.limits_of(device) is self.limits

    def replay(self, tensors: list[Tensor]) -> Any:
        """Run the kernels on new arguments."""
        with engine._lock:
            for action in self.host:
                action()
            values: list[Any] = [None] * self.count
            values.extend(self.node(source, tensors) for source in self.sources)
            doubts = engine.doubts_of(values[self.count :])
            for at, node in self.steady.items():
                values[at] = node
            for at, op, shape, dtype, device in self.nodes:
                values[at] = graph.Node(op, (), {}, shape, dtype, device)
            made = {at: values[at] for at in self.kept}
            # The new values, and what becomes of storages, before the kernels run: who writes in place must be all that
            # holds the old value.
            new = [made[at] if type(at) is int else self.node(at, tensors) for _, at in self.writes]
            written = [self.storage(source, tensors) for source, _ in self.writes]
            for storage, node in zip(written, new, strict=True):
                storage.replace(node)
            fresh = [
                graph.Storage(made[at] if type(at) is int else self.node(at, tensors), self.version())
                for at in self.fresh
            ]
            try:
                with held_back() as held:
                    self.launch(values, held)
            except BaseException:
                self.restore(values, written)
                raise
            doubts += tuple(engine.add_check(made[at], verdict) for at, verdict in self.checks)
            for node in made.values() if doubts else ():
                engine.depends(node, *doubts)
            for tensor, how in self.gradients:
                tensor = tensors[tensor] if type(tensor) is int else tensor
                tensor._grad = None if how is None else self.result(how, tensors, fresh)
            return tree_unflatten([self.result(how, tensors, fresh) for how in self.outputs], self.spec)

    def launch(self, values: list, held: Any) -> None:
        """Run the kernels of the plan."""
        device, watched = self.device, plans.watched()
        allocate, dispatch = joined.Shared(self.sharing, device).allocate, device.dispatch
        for (step, bindings, open_places, fresh, leaving), words in zip(self.launches, self.numbers(), strict=True):
            start = time.perf_counter() if watched else 0.0
            if step.joint is not None:
                step.launch(values, words, device)
                for at in leaving:
                    values[at] = None
                held.now()
                continue
            if step.target is None:
                for at, nbytes in fresh:
                    values[at].buffer = allocate(at, nbytes, [values[place] for place, _ in step.inputs])
            else:
                ((at, _),) = fresh
                values[at].buffer = kernels.take_over(values[step.target], values[at], device)
            if open_places:
                bindings = bindings.copy()
                for number, at, offset, size in open_places:
                    bindings[number] = (values[at].buffer, offset, size)
            dispatch(step.pipeline, bindings, words, step.workgroups)
            for at in leaving:
                values[at] = None
            if watched:
                kernels.report(step.record, [], device, start)
            held.now()

    def numbers(self) -> list[bytes]:
        """The parameter block of every kernel, with live numbers computed again."""
        if not self.live:
            return self.parameters
        blocks: list[Any] = list(self.parameters)
        for number, at, dtype, value in self.live:
            if isinstance(blocks[number], bytes):
                blocks[number] = bytearray(blocks[number])
            packed = pack_scalar(value.compute(), dtype)
            blocks[number][at : at + len(packed)] = packed
        return [bytes(block) for block in blocks]

    def restore(self, values: list, written: list) -> None:
        """After an error: storages whose new value was not computed get the old one back, where it is still there."""
        for ((how, what), _), storage in zip(self.writes, written, strict=True):
            if storage.node.buffer is None:
                for number, source in enumerate(self.sources):
                    if source == (how, what) and values[self.count + number] is not None:
                        storage.replace(values[self.count + number])

    @staticmethod
    def version() -> int | None:
        return None if grad_mode.current().inference else 0

    @staticmethod
    def storage(source: tuple, tensors: list[Tensor]) -> Any:
        how, what = source
        if how == "argument":
            return tensors[what]._storage
        if how == "gradient":
            return (tensors[what] if type(what) is int else what)._grad._storage
        return what

    def node(self, source: tuple, tensors: list[Tensor]) -> graph.Node:
        """A realised value."""
        if source[0] == "constant":
            return source[1]
        node = self.storage(source, tensors).node
        if node.buffer is None:
            engine.realize([node])
        return node

    def result(self, how: tuple, tensors: list[Tensor], fresh: list) -> Any:
        if how[0] == "plain":
            return how[1]
        if how[0] == "argument":
            return tensors[how[1]]
        if how[0] == "fresh":
            return view_of(fresh[how[1]], *how[2])
        return view_of(self.storage(how[1], tensors), *how[2])


def owner(tensor: Tensor, tensors: list[Tensor]) -> Any:
    """A tensor as a replay finds it: an argument by its number, any other as itself."""
    for number, argument in enumerate(tensors):
        if argument is tensor:
            return number
    return tensor
