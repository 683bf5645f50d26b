"""Cutting the lazy graph into kernels.

Every kernel is a `Group`: at most one core (a reduction, a matmul, a softmax, a write ...) and the elementwise nodes
that are computed where the core's results are stored. Elementwise producers are never members of a group: they are
expanded where they are read. What has to be decided is only which nodes get memory of their own, and which group
stores them.
"""

from __future__ import annotations

from .codegen import Limits
from .graph import Node, Operand

MAX_WEIGHT = 96  # ops expanded into one kernel; longer chains are cut
CHEAP = 3  # an expansion up to this many ops is repeated rather than stored for a second reader
MAX_OUTPUTS = 8

# Who wants a node of a graph in memory: it was asked for, a tensor has it as its value, or something outside the graph
# holds it: pending work, or a value saved for a derivative. Whoever holds it will want it, and by then a longer chain
# would have to be expanded: in a training loop that reads the loss after the optimizer's step, one that grows with
# every step.
TARGET, LIVE, LATER = 1, 2, 4


class Group:
    """The nodes that one kernel computes: its core, if any, and what is stored beside it."""

    __slots__ = ("before", "core", "members", "outputs", "position", "reads", "size")

    def __init__(self, position: int, size: int, core: Node | None = None) -> None:
        self.position = position
        self.before = 0  # the groups that must have run before this one: a set of positions, as bits
        self.size = size
        self.core = core
        self.members: list[Node] = [core] if core is not None else []
        self.outputs: list[Node] = []
        self.reads: set[int] = set()  # see `reads_of`; kept where compiling takes long

    def accepts_members(self) -> bool:
        return self.core is None or self.core.op.has_epilogue


def pending_arguments(node: Node) -> list[Operand]:
    return [argument for argument in node.args if isinstance(argument, Operand) and argument.node.buffer is None]


def plan(order: list[Node], flags: list[int], limits: Limits) -> list[Group]:
    """The groups that compute the pending nodes `order` (producers first), in an order that can be run.

    `flags` says of each node who wants it: see `Graph` in plans.py.
    """
    wanted = {id(node) for node, flag in zip(order, flags, strict=True) if flag & TARGET}
    live = {id(node) for node, flag in zip(order, flags, strict=True) if flag & LIVE}
    later = {id(node) for node, flag in zip(order, flags, strict=True) if flag & LATER}
    stored = choose_stored(order, wanted | live, later, limits)
    return place(order, stored, wanted | live | later, limits)


def choose_stored(order: list[Node], wanted: set[int], later: set[int], limits: Limits) -> set[int]:
    """The ids of the nodes that get memory: the wanted and live ones, all cores, and whatever keeps kernels small."""
    uses: dict[int, int] = {}
    stored: set[int] = set()
    for node in order:
        for argument in pending_arguments(node):
            uses[id(argument.node)] = uses.get(id(argument.node), 0) + 1
    for node in order:
        if not node.op.inlines or id(node) in wanted:
            stored.add(id(node))
        stored.update(id(argument.node) for argument in node.op.stored_arguments(node))
    looping: set[int] = set()  # nodes whose expansion goes round loops
    weight: dict[int, int] = {}
    reads: dict[int, dict[int, int]] = {}  # buffers an expansion reads, with how many bindings each takes
    room = limits.max_storage_buffers
    for node in order:
        total = node.op.weight
        leaves: dict[int, int] = {}
        arguments = [argument for argument in node.args if isinstance(argument, Operand)]
        for argument in arguments:
            source = argument.node
            if (
                source.buffer is None
                and id(source) not in stored
                and node.size > source.size
                and weight[id(source)] > CHEAP
            ):
                stored.add(id(source))  # read through a broadcast: computed once, not once per reader
            total += add_argument(source, stored, weight, reads, leaves, limits)
        # Too many ops or buffers for one kernel: store the heaviest arguments until it fits.
        output_room = limits.windows(node.nbytes) + 1
        while total > MAX_WEIGHT or sum(leaves.values()) + output_room > room:
            open_arguments = [a.node for a in arguments if a.node.buffer is None and id(a.node) not in stored]
            if not open_arguments:
                break
            stored.add(id(max(open_arguments, key=lambda source: (len(reads[id(source)]), weight[id(source)]))))
            total, leaves = node.op.weight, {}
            for argument in arguments:
                total += add_argument(argument.node, stored, weight, reads, leaves, limits)
        # An invocation may go round its loops only so many times in all: a loop is not expanded inside another kernel's.
        inside = [a.node for a in arguments if id(a.node) in looping and id(a.node) not in stored]
        if inside and not node.op.inlines:
            stored.update(id(source) for source in inside)
        elif inside or node.op.loops(node):
            looping.add(id(node))
        weight[id(node)], reads[id(node)] = total, leaves
        if total > (CHEAP if id(node) not in later else 1) and (uses.get(id(node), 0) > 1 or id(node) in later):
            stored.add(id(node))
    return stored


def add_argument(source: Node, stored: set[int], weight: dict, reads: dict, leaves: dict, limits: Limits) -> int:
    """Count one argument of an expansion into `leaves`; the ops it adds are returned."""
    if source.buffer is not None or id(source) in stored:
        leaves[id(source)] = limits.windows(source.nbytes)
        return 0
    leaves.update(reads[id(source)])
    return weight[id(source)]


def dependencies(node: Node, stored: set[int]) -> list[tuple[Node, bool]]:
    """The stored pending nodes that computing `node` reads, each with whether it is read at the same linear index."""
    found: dict[int, tuple[Node, bool]] = {}
    seen: set[tuple[int, bool]] = set()
    stack = [(node, True)]
    while stack:
        current, same = stack.pop()
        for argument in pending_arguments(current):
            source = argument.node
            identity = same and current.op.keeps_index and argument.is_linear() and source.size == node.size
            if id(source) in stored:
                earlier = found.get(id(source))
                found[id(source)] = (source, identity and (earlier is None or earlier[1]))
            elif (id(source), identity) not in seen:
                seen.add((id(source), identity))
                stack.append((source, identity))
    return list(found.values())


def place(order: list[Node], stored: set[int], wanted: set[int], limits: Limits) -> list[Group]:
    """Give every stored node a group: its own, or another one of the same size that can compute it on the side."""
    groups: list[Group] = []
    group_of: dict[int, Group] = {}
    outside: set[int] = set()  # members that another group reads
    for node in order:
        if id(node) not in stored:
            continue
        needed = dependencies(node, stored)
        reads = reads_of(node, group_of) if limits.compiles_slowly else set()
        group = None
        if node.op.inlines:
            group = find_group(node, reads, needed, groups, group_of, limits)
        if group is None:
            group = Group(len(groups), node.size, None if node.op.inlines else node)
            groups.append(group)
            if node.op.inlines:
                group.members.append(node)
        else:
            group.members.append(node)
        group_of[id(node)] = group
        group.reads |= reads
        before = 0
        for source, _ in needed:
            other = group_of[id(source)]
            if other is not group:
                before |= other.before | 1 << other.position
            if other is not group or group.core is node:
                outside.add(id(source))
        if before & ~group.before:
            group.before |= before
            for other in groups:  # whoever waits for this group now waits for these, too
                if other.before >> group.position & 1:
                    other.before |= before
    for group in groups:
        group.outputs = [node for node in group.members if id(node) in wanted or id(node) in outside]
    return runnable(groups)


def runnable(groups: list[Group]) -> list[Group]:
    """The groups in the order in which they were begun, but each after those that it has to wait for."""
    ordered: list[Group] = []
    done = 0
    for group in groups:
        waiting = (
            [other for other in groups if (group.before & ~done) >> other.position & 1] if group.before & ~done else []
        )
        # Who waits for a group waits for all that it waits for, and for one more.
        for other in (*sorted(waiting, key=lambda other: other.before.bit_count()), group):
            if not done >> other.position & 1:
                done |= 1 << other.position
                ordered.append(other)
    return ordered


def find_group(
    node: Node, reads: set[int], needed: list, groups: list[Group], group_of: dict, limits: Limits
) -> Group | None:
    """The group that `node` can join: one it reads at the same index, or one that nothing it reads has to wait for.

    Results that nothing connects save a dispatch when they share a kernel; but which ones meet is up to chance, and so
    training many like parameters would take many kernels that are all a little different. Where compiling takes long, only
    those meet that read the same."""
    sources = {group_of[id(source)].position: group_of[id(source)] for source, _ in needed}
    recent = (group for group in groups[-64:] if group.position not in sources)
    for group in (*sources.values(), *recent):
        if group.size != node.size or not group.accepts_members() or len(group.members) >= MAX_OUTPUTS:
            continue
        # What nothing connects with a group begins another one of its kind: see joined.py.
        apart = limits.compiles_slowly or any(member.op is node.op for member in group.members)
        if apart and group.position not in sources and not reads & group.reads:
            continue
        if group.core is not None and loops_inside(node, group_of):
            continue
        if any(other.before >> group.position & 1 for other in sources.values()):
            continue
        if not all(same for source, same in needed if group_of[id(source)] is group):
            continue
        if estimate_bindings(group, node, group_of, limits) <= limits.max_storage_buffers:
            return group
    return None


def reads_of(node: Node, group_of: dict) -> set[int]:
    """The ids of what has, or will have, memory, is at least as large as `node` and is read to compute it."""
    found: set[int] = set()
    seen: set[int] = set()
    stack = [node]
    while stack:
        for argument in stack.pop().args:
            if not isinstance(argument, Operand):
                continue
            source = argument.node
            if source.buffer is not None or id(source) in group_of:
                if source.size >= node.size:
                    found.add(id(source))
            elif id(source) not in seen:
                seen.add(id(source))
                stack.append(source)
    return found


def loops_inside(node: Node, group_of: dict) -> bool:
    """Whether computing `node` from what has memory goes round loops: it would do so for every result of a core."""
    stack = [node]
    seen: set[int] = set()
    while stack:
        current = stack.pop()
        if current.op.loops(current):
            return True
        for argument in pending_arguments(current):
            if id(argument.node) not in group_of and id(argument.node) not in seen:
                seen.add(id(argument.node))
                stack.append(argument.node)
    return False


def estimate_bindings(group: Group, node: Node, group_of: dict, limits: Limits) -> int:
    """An upper bound of the bindings of `group` with `node` in it."""
    members = {id(member) for member in group.members}
    leaves: dict[int, int] = {}
    seen: set[int] = set()
    stack = [*group.members, node]
    outputs = sum(limits.windows(member.nbytes) for member in stack)
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for argument in current.args:
            if not isinstance(argument, Operand) or id(argument.node) in members:
                continue
            if argument.node.buffer is not None or id(argument.node) in group_of:  # it has, or will have, memory
                leaves[id(argument.node)] = limits.windows(argument.node.nbytes)
            else:
                stack.append(argument.node)
                if len(seen) > 512:
                    return limits.max_storage_buffers + 1
    return outputs + sum(leaves.values())
