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

from . import engine, fuse, joined, kernels
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
        "done", "inputs", "joint", "members", "outputs", "patches", "pipeline", "record", "target", "words", "workgroups",
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
        self.patches = patches_of(kernel, 0, places, scalars)
        self.members = tuple(places[id(node)] for node in group.members)
        self.record = kernels.describe(group, kernel, source)
        self.done: tuple[int, ...] = ()
        self.joint: Any = None

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


def patches_of(kernel: Any, begin: int, places: dict[int, int], scalars: dict) -> list[tuple]:
    """Where the numbers of a graph go in parameters that begin at a byte."""
    patches = []
    for first, dtype, origin in kernel.scalars:
        if isinstance(origin, tuple):
            number, name = places[id(origin[0])], origin[1]
        else:
            number, name = scalars[id(origin)]
        patches.append((begin + first * 4, dtype, number, name))
    return patches


class JointStep(Step):
    """One kernel of a plan that does the work of several."""

    __slots__ = ("leaving", "ops", "segments")

    def __init__(self, unit: joined.Unit, places: dict[int, int], scalars: dict) -> None:
        joint = self.joint = unit.joint
        self.pipeline, self.workgroups, self.target = None, 0, None
        self.segments = [
            (tuple(places[id(node)] for node in kernel.inputs), tuple(places[id(node)] for node in kernel.outputs))
            for kernel in unit.kernels
        ]
        self.inputs = tuple((place, ()) for inputs, _ in self.segments for place in inputs)
        self.outputs = tuple((places[id(node)], (), node.nbytes) for kernel in unit.kernels for node in kernel.outputs)
        self.words = joint.words
        size = joint.structure.block_bytes
        self.patches = [
            patch
            for number, kernel in enumerate(unit.kernels)
            for patch in patches_of(kernel, number * size, places, scalars)
        ]
        self.members = tuple(places[id(node)] for group in unit.groups for node in group.members)
        self.ops = ops_of(unit.groups[0])
        self.record = {}
        self.done = ()
        last = {place: number for number, (inputs, _) in enumerate(self.segments) for place in inputs}
        self.leaving = [[place for place in inputs if last[place] == n] for n, (inputs, _) in enumerate(self.segments)]

    def launch(self, values: list, words: bytes, device: Any) -> None:
        """Run it; what no later kernel of the plan needs is let go after each dispatch."""
        inputs = [[values[place] for place in places] for places, _ in self.segments]
        outputs = [[values[place] for place in places] for _, places in self.segments]
        done = set(self.done)

        start = time.perf_counter()

        def ran(piece: Any, source: str) -> None:
            nonlocal start
            if watched():
                record = joined.describe(self.joint, piece, source, inputs, outputs, self.ops)
                kernels.report(record, [node for segment in piece.segments for node in outputs[segment]], device, start)
                start = time.perf_counter()
            for segment in piece.segments:
                outputs[segment] = []
                for place in self.leaving[segment]:
                    if place in done:
                        values[place] = None

        self.joint.run(inputs, outputs, words, device, ran)


def ops_of(group: Group) -> str:
    return "+".join(node.op.name for node in group.members)


def launch(step: Step, values: list[Node], words: bytes, device: Any, shared: joined.Shared) -> None:
    """Run one kernel of a plan."""
    if isinstance(step, JointStep):
        step.launch(values, words, device)
        return
    bindings = []
    for place, spans in step.inputs:
        buffer = values[place].buffer
        for offset, size in spans:
            bindings.append((buffer, offset, size))
    buffers = []
    for place, spans, nbytes in step.outputs:
        if step.target is None:
            buffer = shared.allocate(place, nbytes, [values[at] for at, _ in step.inputs])
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

    __slots__ = ("inlined", "sharing", "steps")

    def __init__(self, steps: list[Step], count: int, sharing: list[list[tuple[int, int]]]) -> None:
        self.steps = steps
        self.sharing = sharing  # the results that lie in one piece of memory
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
    shared = joined.Shared(plan.sharing, device)
    for number, step in enumerate(plan.steps):
        start = time.perf_counter() if members is not None else 0.0
        launch(step, values, parameters[number], device, shared)
        if members is not None and step.joint is None:
            kernels.report(step.record, members[number], device, start)
        if members is not None:
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
    kept = {id(node) for node, flag in zip(nodes, graph.flags, strict=True) if flag}
    units = joined.join(fuse.plan(nodes, graph.flags, limits), kept, limits)
    sharing = joined.neighbours(units, places, limits)
    shared = joined.Shared(sharing, device)
    units.reverse()
    graph.nodes, graph.leaves = [], []  # so that the groups are all that holds them
    del nodes
    steps: list[Step] | None = [] if key is not None and not engine.CHECK else None
    while units:  # a group is let go once it has run: a write takes over memory that nobody else holds
        unit = units.pop()
        if unit.joint is not None:
            if steps is not None:
                try:
                    steps.append(JointStep(unit, places, scalars))
                except KeyError:
                    steps = None
            run_joint(unit, device)
            del unit
            held.now()
            continue
        (group,) = unit.groups
        del unit
        kernel, pipeline, source = kernels.prepare(group, device, limits)
        if kernel.provisional or pipeline is None or kernel.sliced is not None:
            steps = None
        if steps is not None:
            try:
                steps.append(Step(group, kernel, pipeline, source, places, scalars))
            except KeyError:  # a kernel that reads something its graph does not name
                steps = None
        kernels.run(
            group, kernel, pipeline, source, device, limits,
            lambda node, inputs: shared.allocate(places[id(node)], node.nbytes, inputs),
        )  # fmt: skip
        del kernel, group
        held.now()
    if steps is not None and key is not None:
        plan = _plans[key] = Plan(steps, count, sharing)
        _steps += len(plan.steps)
        while len(_plans) > MAX_PLANS or (_steps > MAX_STEPS and len(_plans) > 1):
            _, oldest = _plans.popitem(last=False)
            _steps -= len(oldest.steps)
        return plan
    return None


def run_joint(unit: joined.Unit, device: Any) -> None:
    """Compute the groups of a unit, and let each go once it has run."""
    joint, groups = unit.joint, unit.groups
    inputs = [list(kernel.inputs) for kernel in unit.kernels]
    outputs = [list(kernel.outputs) for kernel in unit.kernels]
    for kernel in unit.kernels:
        kernel.blocks.clear()
    unit.kernels, unit.groups = [], []
    ops = ops_of(groups[0])
    expected = [[kernels.reference(node, device) for node in nodes] if engine.CHECK else [] for nodes in outputs]
    start = time.perf_counter()

    def ran(piece: Any, source: str) -> None:
        nonlocal start
        if watched():
            members = [node for segment in piece.segments for node in groups[segment].members]
            record = joined.describe(joint, piece, source, inputs, outputs, ops)
            kernels.report(record, members, device, start)
        for segment in piece.segments:
            for node, array in zip(outputs[segment] if engine.CHECK else (), expected[segment], strict=True):
                kernels.compare(node, array, device, source)
            outputs[segment], groups[segment] = [], None  # type: ignore[call-overload]
        start = time.perf_counter()

    assert joint is not None
    joint.run(inputs, outputs, joint.words, device, ran)


def forget() -> None:
    """Drop all kept plans."""
    global _steps
    _plans.clear()
    _steps = 0
