"""Trees of tuples, lists, dicts and named tuples: taking them apart into leaves and putting them together again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

__all__ = ["TreeSpec", "broadcast_leaves", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"]


class TreeSpec:
    """The containers of a tree, without its leaves."""

    __slots__ = ("children", "context", "count", "kind")

    def __init__(self, kind: type | None, context: Any, children: list[TreeSpec]) -> None:
        self.kind = kind  # None for a leaf
        self.context = context
        self.children = children
        self.count = 1 if kind is None else sum(child.count for child in children)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and self.kind is other.kind
            and self.context == other.context
            and self.children == other.children
        )

    def __repr__(self) -> str:
        return "*" if self.kind is None else f"{self.kind.__name__}({', '.join(map(repr, self.children))})"


def is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def branches(tree: Any) -> tuple[type | None, Any, list]:
    """A container's kind, what else it takes to make it again, and what it holds; a leaf has no kind."""
    kind = type(tree)
    if kind in (tuple, list):
        return kind, None, list(tree)
    if kind in (dict, OrderedDict):
        return kind, tuple(tree), list(tree.values())
    if kind is defaultdict:
        return kind, (tree.default_factory, tuple(tree)), list(tree.values())
    if is_named_tuple(tree):
        return kind, None, list(tree)
    return None, None, []


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list, TreeSpec]:
    """The leaves of a tree, from left to right, and its structure. What is no tuple, list or dict is a leaf, None too; so
    is what `is_leaf` says.

    >>> tree_flatten({"a": 1, "b": (2, [3])})
    ([1, 2, 3], dict(*, tuple(*, list(*))))
    """
    kind, context, held = branches(tree)
    if kind is None or (is_leaf is not None and is_leaf(tree)):
        return [tree], TreeSpec(None, None, [])
    leaves: list = []
    children = []
    for branch in held:
        found, spec = tree_flatten(branch, is_leaf)
        leaves += found
        children.append(spec)
    return leaves, TreeSpec(kind, context, children)


def tree_leaves(tree: Any) -> list:
    """The leaves of a tree.

    >>> tree_leaves((1, [2, (3,)]))
    [1, 2, 3]
    """
    return tree_flatten(tree)[0]


def tree_unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The tree of that structure with those leaves.

    >>> leaves, spec = tree_flatten({"a": 1, "b": (2, 3)})
    >>> tree_unflatten([10 * leaf for leaf in leaves], spec)
    {'a': 10, 'b': (20, 30)}
    """
    leaves = list(leaves)
    if len(leaves) != spec.count:
        raise ValueError(f"tree_unflatten: the structure has {spec.count} leaves, but {len(leaves)} were given")
    return built(iter(leaves), spec)


def built(leaves: Any, spec: TreeSpec) -> Any:
    if spec.kind is None:
        return next(leaves)
    held = [built(leaves, child) for child in spec.children]
    if spec.kind in (dict, OrderedDict):
        return spec.kind(zip(spec.context, held, strict=True))
    if spec.kind is defaultdict:
        return defaultdict(spec.context[0], zip(spec.context[1], held, strict=True))
    return spec.kind(*held) if hasattr(spec.kind, "_fields") else spec.kind(held)


def tree_map(function: Callable, tree: Any) -> Any:
    """The tree with `function` of each leaf in its place.

    >>> tree_map(str, [1, {"a": 2}])
    ['1', {'a': '2'}]
    """
    leaves, spec = tree_flatten(tree)
    return tree_unflatten([function(leaf) for leaf in leaves], spec)


def broadcast_leaves(tree: Any, spec: TreeSpec) -> list | None:
    """The leaves of a tree that may stop earlier than `spec`: where it does, its leaf stands for all below. None when the
    two do not fit.

    >>> broadcast_leaves((0, None), tree_flatten((1, [2, 3]))[1])
    [0, None, None]
    """
    kind, context, held = branches(tree)
    if kind is None:
        return [tree] * spec.count
    if kind is not spec.kind or context != spec.context or len(held) != len(spec.children):
        return None
    found: list = []
    for branch, child in zip(held, spec.children, strict=True):
        part = broadcast_leaves(branch, child)
        if part is None:
            return None
        found += part
    return found
