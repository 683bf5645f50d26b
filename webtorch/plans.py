"""Plans that are kept: a graph built like an earlier one runs the earlier one's kernels again, neither planned nor traced.

Programs build the same graph over and over, a training loop once per step. `signature` says how a pending graph is
built: which ops, on which shapes, reading which of the others, but not the numbers in it nor the memory it starts at.
`Plan` is what was found out for one signature: the pipelines with the parameter words of each, and where in a graph
their buffers and numbers come from.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from typing import Any

from . import engine, fuse, kernels
from .codegen import Limits, pack_scalar
from .fuse import LATER, LIVE, TARGET, Group
from .graph import Node, Operand

MAX_PLANS = 1024  # graphs that are remembered; the least recently used goes first
MAX_STEPS = 65536  # kernels of all of them together

_plans: OrderedDict[tuple, Plan] = OrderedDict()
_steps = 0
_limits: Limits | None = None  # what the kept plans were made for


class Graph:
    """The pending nodes that some targets need, producers first, and how they are built."""

    __slots__ = ("flags", "key", "leaves", "nodes", "places")

    def __init__(self, targets: list[Node]) -> None:
        self.nodes = nodes = pending(targets)
        self.leaves: list[Node] = []  # the realised nodes that they read
        places: dict[
            int, int
        ] = {}  # id of a node -> its position among the pending ones, or ~(its position among leaves)
        inside: dict[int, int] = {}  # id of a node -> the operands in this graph that refer to it
        operands: set[int] = set()
        parts: list[Any] = []
        for position, node in enumerate(nodes):
            for argument in node.args:
                if type(argument) is Operand:
                    source = argument.node
                    name = id(source)
                    place = places.get(name)
                    if place is None:
                        place = places[name] = ~len(self.leaves)
                        self.leaves.append(source)
                        parts.append(source.dtype)
                        parts.append(source.size)
                    if id(argument) not in operands:
                        operands.add(id(argument))
                        inside[name] = inside.get(name, 0) + 1
                    parts.append((place, argument.shape, argument.strides, argument.offset))
                else:
                    parts.append(argument.dtype)
            places[id(node)] = position
            parts.append((node.op, node.shape, node.dtype, node.op.structure(node) if node.attributes else ()))
        wanted = {id(target) for target in targets}
        source = argument = None  # a name counts as a reference
        flags: list[int] = []
        for node in nodes:
            flag = TARGET if id(node) in wanted else 0
            # Whoever outside this graph holds a node will want it: pending work, or a value saved for a derivative.
            if sys.getrefcount(node) > OWN_REFERENCES + inside.get(id(node), 0):
                flag |= LATER | (LIVE if node.is_live() else 0)
            flags.append(flag)
        self.flags = flags
        self.places = places
        self.key = (engine.variant, tuple(parts), tuple(flags))


def own_references() -> int:
    """What sys.getrefcount says in that loop of an object that only the list holds; it differs between Pythons."""
    for node in [object()]:
        count = sys.getrefcount(node)
    return count


OWN_REFERENCES = own_references()


def pending(targets: list[Node]) -> list[Node]:
    """The pending nodes that `targets` need, in the order in which they were recorded: producers first."""
    found: dict[int, Node] = {}
    stack = list(targets)
    while stack:
        node = stack.pop()
        if node.buffer is None and id(node) not in found:
            found[id(node)] = node
            for argument in node.args:
                if type(argument) is Operand and argument.node.buffer is None:
                    stack.append(argument.node)
    return sorted(found.values(), key=recorded_as)


def recorded_as(node: Node) -> int:
    return node.number


class Step:
    """One kernel of a plan. Nodes are named by their place in the graph: pending ones first, leaves after them."""

    __slots__ = (
        "done", "inputs", "members", "outputs", "patches", "pipeline", "record", "target", "words", "workgroups",
    )  # fmt: skip

    def __init__(
        self, group: Group, kernel: Any, pipeline: Any, source: str, places: dict[int, int], scalars: dict
    ) -> None:
        self.pipeline = pipeline
        self.workgroups = kernel.workgroups
        self.inputs = tuple((places[id(node)], kernels.spans(node, kernel.limits)) for node in kernel.inputs)
        self.outputs = tuple(
            (places[id(node)], kernels.spans(node, kernel.limits), node.nbytes) for node in kernel.outputs
        )
        self.target = None if kernel.target is None else places[id(kernel.target)]
        self.words = kernel.params()
        self.patches = []
        for first, dtype, origin in kernel.scalars:
            if isinstance(origin, tuple):
                number, name = places[id(origin[0])], origin[1]
            else:
                number, name = scalars[id(origin)]
            self.patches.append((first * 4, dtype, number, name))
        self.members = tuple(places[id(node)] for node in group.members)
        self.record = kernels.describe(group, kernel, source)
        self.done: tuple[int, ...] = ()

    def parameters(self, values: list[Node]) -> bytes:
        """The parameter block with the numbers of this graph."""
        if not self.patches:
            return self.words
        words = bytearray(self.words)
        for at, dtype, number, name in self.patches:
            node = values[number]
            value = node.attributes[name] if type(name) is str else node.args[name].value
            packed = pack_scalar(value, dtype)
            words[at : at + len(packed)] = packed
        return bytes(words)


def launch(step: Step, values: list[Node], words: bytes, device: Any) -> None:
    """Run one kernel of a plan."""
    bindings = []
    for place, spans in step.inputs:
        buffer = values[place].buffer
        for offset, size in spans:
            bindings.append((buffer, offset, size))
    buffers = []
    for place, spans, nbytes in step.outputs:
        if step.target is None:
            buffer = device.allocate(nbytes)
        else:
            buffer = kernels.take_over(values[step.target], values[place], device)
        buffers.append(buffer)
        for offset, size in spans:
            bindings.append((buffer, offset, size))
    device.dispatch(step.pipeline, bindings, words, step.workgroups)
    for (place, _, _), buffer in zip(step.outputs, buffers, strict=True):
        values[place].settle(buffer)


class Plan:
    """What is run for graphs of one signature."""

    __slots__ = ("inlined", "steps")

    def __init__(self, steps: list[Step], count: int) -> None:
        self.steps = steps
        last: dict[int, int] = {}
        for number, step in enumerate(steps):
            for place in (*(place for place, _ in step.inputs), *(place for place, *_ in step.outputs)):
                last[place] = number
            if step.target is not None:
                last[step.target] = number
        for number, step in enumerate(steps):
            step.done = tuple(place for place, at in last.items() if at == number)
        self.inlined = tuple(place for place in range(count) if place not in last)


def realize(targets: list[Node], device: Any, limits: Limits, held: Any) -> None:
    """Compute `targets`, pending nodes of one device, and all they need."""
    run(Graph(targets), device, limits, held)


def run(graph: Graph, device: Any, limits: Limits, held: Any) -> Plan | None:
    """Compute the targets of a graph, by a kept plan if there is one; the plan is returned where one is kept."""
    global _limits
    if limits is not _limits:
        forget()
        _limits = limits
    try:
        plan = None if engine.CHECK else _plans.get(graph.key)
    except TypeError:  # an attribute that cannot be a key
        return make(graph, device, limits, held, None)
    if plan is None:
        return make(graph, device, limits, held, graph.key)
    _plans.move_to_end(graph.key)
    values: list[Any] = [*graph.nodes, *graph.leaves]
    graph.nodes, graph.leaves = [], []  # so that the values are all that holds them
    parameters = [step.parameters(values) for step in plan.steps]
    members = [[values[place] for place in step.members] for step in plan.steps] if watched() else None
    for place in plan.inlined:
        values[place] = None
    run_steps(plan, values, parameters, device, held, members)
    return plan


def known(graph: Graph, limits: Limits) -> Plan | None:
    """The plan that is kept for a graph."""
    try:
        return None if engine.CHECK or limits is not _limits else _plans.get(graph.key)
    except TypeError:  # an attribute that cannot be a key
        return None


def watched() -> bool:
    """Whether somebody wants to be told of kernels."""
    return bool(engine.observers) or engine.DEBUG > 0


def run_steps(
    plan: Plan, values: list, parameters: list[bytes], device: Any, held: Any, members: list | None = None
) -> None:
    """Run the kernels of `plan`; nodes are let go as soon as no later kernel needs them, and with them their memory."""
    for number, step in enumerate(plan.steps):
        start = time.perf_counter() if members is not None else 0.0
        launch(step, values, parameters[number], device)
        if members is not None:
            kernels.report(step.record, members[number], device, start)
            members[number] = []
        for place in step.done:
            values[place] = None
        held.now()


def make(graph: Graph, device: Any, limits: Limits, held: Any, key: tuple | None) -> Plan | None:
    """Plan `graph` and run it; under `key` it is remembered what was run."""
    global _steps
    nodes, count = graph.nodes, len(graph.nodes)
    places = {name: place if place >= 0 else count + ~place for name, place in graph.places.items()}
    scalars = {
        id(argument): (position, number)
        for position, node in enumerate(nodes)
        for number, argument in enumerate(node.args)
        if type(argument) is not Operand
    }
    groups = fuse.plan(nodes, graph.flags, limits)
    groups.reverse()
    graph.nodes, graph.leaves = [], []  # so that the groups are all that holds them
    del nodes
    steps: list[Step] | None = [] if key is not None and not engine.CHECK else None
    while groups:  # a group is let go once it has run: a write takes over memory that nobody else holds
        group = groups.pop()
        kernel, pipeline, source = kernels.prepare(group, device, limits)
        if kernel.provisional or pipeline is None or kernel.sliced is not None:
            steps = None
        if steps is not None:
            try:
                steps.append(Step(group, kernel, pipeline, source, places, scalars))
            except KeyError:  # a kernel that reads something its graph does not name
                steps = None
        kernels.run(group, kernel, pipeline, source, device, limits)
        del kernel, group
        held.now()
    if steps is not None and key is not None:
        plan = _plans[key] = Plan(steps, count)
        _steps += len(plan.steps)
        while len(_plans) > MAX_PLANS or (_steps > MAX_STEPS and len(_plans) > 1):
            _, oldest = _plans.popitem(last=False)
            _steps -= len(oldest.steps)
        return plan
    return None


def forget() -> None:
    """Drop all kept plans."""
    global _steps
    _plans.clear()
    _steps = 0
