"""What shapes and dtypes a function gives, without computing anything: `eval_shape`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import dtypes, elsewhere, random
from .devices import device as Device
from .dtypes import dtype as DType
from .tensor import Size, Tensor, from_node
from .utils.pytree import tree_flatten, tree_unflatten

__all__ = ["TensorMeta", "eval_shape"]


class TensorMeta(NamedTuple):
    """What is known of a tensor without its values: its shape and its dtype.

    >>> import webtorch
    >>> TensorMeta((2, 3), webtorch.float32)
    TensorMeta(shape=(2, 3), dtype=webtorch.float32)
    """

    shape: tuple[int, ...]
    dtype: DType


def eval_shape(fn: Callable, *args: Any, **given: Any) -> Any:
    """The shapes and dtypes of `fn(*args)`: as a `TensorMeta` for each tensor of the result, whatever tuples, lists and
    dicts hold them. No kernel runs, and no memory is taken.

    Arguments are tensors of any device, `TensorMeta`s that stand for tensors, and anything else, which `fn` gets as it is.
    Tensors that `fn` reads from elsewhere, such as the parameters of a module, keep their values, also where `fn` would
    write to them; the random generator keeps its state.

    Raises what `fn` raises: the ShapeError or DTypeError that the call would raise with values; and DeviceError (code
    device_error_requires) where a shape depends on values, as in `nonzero`.

    >>> import webtorch
    >>> a, b = webtorch.ones(2, 3), TensorMeta((3, 5), webtorch.float32)
    >>> eval_shape(webtorch.matmul, a, b)
    TensorMeta(shape=webtorch.Size([2, 5]), dtype=webtorch.float32)
    >>> eval_shape(webtorch.matmul, b, a)
    Traceback (most recent call last):
    webtorch.errors.ShapeError: matmul_error_inner_dimensions_do_not_match: ...
    """
    leaves, structure = tree_flatten((args, given), is_leaf=is_meta)
    args, given = tree_unflatten([without_values(leaf) for leaf in leaves], structure)
    state = random.get_rng_state()
    try:
        with elsewhere.only_shapes(), Device("meta"):
            result = fn(*args, **given)
    finally:
        random.set_rng_state(state)
    leaves, structure = tree_flatten(result)
    return tree_unflatten([described(leaf) for leaf in leaves], structure)


def is_meta(value: Any) -> bool:
    return isinstance(value, TensorMeta)


def without_values(value: Any) -> Any:
    """A tensor of the meta device with the shape and dtype of a tensor or of a description; other things as they are."""
    if isinstance(value, TensorMeta):
        return from_node(elsewhere.shape_only(tuple(value.shape), dtypes.as_dtype(value.dtype)))
    if not isinstance(value, Tensor):
        return value
    made = from_node(elsewhere.shape_only(value._shape, value.dtype))
    return made.requires_grad_() if value.requires_grad else made


def described(value: Any) -> Any:
    return TensorMeta(Size(value._shape), value.dtype) if isinstance(value, Tensor) else value
