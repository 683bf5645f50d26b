"""What the tests of the op table share: values to compute with, layouts to compute on, and comparisons."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import webtorch
from webtorch import codegen, engine
from webtorch.backends.wgpu import get_device
from webtorch.errors import DTypeError

DTYPES = {
    "float32": webtorch.float32, "float16": webtorch.float16, "float64": webtorch.float64, "int32": webtorch.int32,
    "int64": webtorch.int64, "int16": webtorch.int16, "int8": webtorch.int8, "uint8": webtorch.uint8, "bool": webtorch.bool,
}  # fmt: skip
# Results are compared to within relative and absolute (in units of the largest result) errors. How precise each
# function is, in ulps, is tested with the shader library.
TOLERANCES = {"float16": (2e-3, 1e-5), "float32": (1e-5, 1e-6), "float64": (1e-10, 1e-12)}
COUNT = 1301  # more than one workgroup, and not a multiple of the four elements that one invocation computes

SPECIAL = [
    0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 0.1, -0.7, 7.5, -7.5, 10.0, -10.0, 100.0, -100.0, 2.5, 3.14159,
    1e-5, -88.5, 88.9, 30000.0, 1e10, -1e10, 3e38, -3e38, 1e-30, np.inf, -np.inf, np.nan,
]  # fmt: skip
WHOLE = [0, 1, -1, 2, -2, 3, -3, 5, -7, 8, 31, 32, 63, -64, 100, -100]


def specials(name: str, count: int = 3) -> list[np.ndarray]:
    """`count` arrays of COUNT elements: special values, all pairs of them between the first two, then random ones."""
    kind = DTYPES[name].numpy
    generator = np.random.default_rng(len(name))
    if name == "bool":
        return [generator.integers(0, 2, COUNT).astype(bool) for _ in range(count)]
    if kind.kind == "f":
        largest = float(np.finfo(kind).max)
        values = np.array([value for value in SPECIAL if not np.isfinite(value) or abs(value) <= largest], kind)
        rest = [(generator.standard_normal(COUNT) * 3).astype(kind) for _ in range(count)]
    else:
        limits = np.iinfo(kind)
        extremes = [limits.min, limits.min + 1, limits.max - 1, limits.max]
        values = np.array([*(value for value in WHOLE if limits.min <= value <= limits.max), *extremes]).astype(kind)
        rest = [generator.integers(-40 if limits.min else 0, 40, COUNT).astype(kind) for _ in range(count)]
    size = len(values)
    pairs = [np.repeat(values, size), np.tile(values, size)]
    pairs += [generator.permutation(pairs[0]) for _ in range(count)]
    for array, special in zip(rest, pairs, strict=False):
        array[: size * size] = special
    return rest


def sample(
    generator: np.random.Generator, shape: tuple, dtype: Any, domain: tuple[float, float] = (-3.0, 3.0)
) -> np.ndarray:
    """Random values of a dtype within the domain; integers are spread a little wider."""
    if dtype is webtorch.bool:
        return generator.integers(0, 2, shape).astype(bool)
    if dtype.is_floating_point:
        return generator.uniform(*domain, shape).astype(dtype.numpy)
    return generator.integers(1 if domain[0] > 0 or dtype is webtorch.uint8 else -9, 10, shape).astype(dtype.numpy)


# ---- layouts --------------------------------------------------------------------------------------------------------
# Each gives the tensor that stands in place `position` of a call's inputs; `make(shape)` makes contiguous ones.

Make = Callable[[tuple], Any]


def contiguous(make: Make, position: int) -> Any:
    return make((3, 4, 5))


def transposed(make: Make, position: int) -> Any:
    return (
        make((10, 4, 3)).permute(2, 1, 0)[:, :, 1::2]
        if position == 0
        else make((4, 10, 3)).permute(2, 0, 1)[:, :, 1::2]
    )


def flipped(make: Make, position: int) -> Any:
    return make((3, 4, 10)).flip(0, 2)[:, :, ::2] if position != 1 else make((3, 8, 10)).flip(1)[:, ::2, ::2]


def stepped(make: Make, position: int) -> Any:
    return make((7, 5, 12))[1::2, 1:, 2::2] if position != 1 else make((6, 9, 16))[::2, 1::2, 1::3]


def broadcast(make: Make, position: int) -> Any:
    return (make((1, 5)), make((3, 4, 1)), make((4, 5)))[position]


def expanded(make: Make, position: int) -> Any:
    """Some elements stand in many places of a tensor in memory of full shape."""
    return (make((3, 1, 5)), make((4, 1)), make((1,)))[position].expand(3, 4, 5)


def mixed(make: Make, position: int) -> Any:
    return (transposed, flipped, expanded)[position](make, position)


def offset(make: Make, position: int) -> Any:
    return make((67,))[5 + position : 65 + position].view(3, 4, 5)


def zero_dimensional(make: Make, position: int) -> Any:
    return make(())


def zero_with_many(make: Make, position: int) -> Any:
    """A 0-d tensor together with others that have dimensions."""
    return make(()) if position else make((3, 4, 5))


def empty(make: Make, position: int) -> Any:
    return make((0, 3)) if position != 1 else make((3,))


def one_element(make: Make, position: int) -> Any:
    return make((1,)) if position != 1 else make((1, 1))


def many(make: Make, position: int) -> Any:
    return make((COUNT,))


def eight(make: Make, position: int) -> Any:
    if position != 1:
        return make((2, 1, 3, 2, 1, 2, 2, 3)).permute(7, 5, 1, 3, 2, 4, 0, 6)
    return make((2, 2, 1, 3, 2, 1, 2, 1)).permute(7, 6, 5, 4, 3, 2, 1, 0).flip(1, 4)


LAYOUTS = (
    contiguous, transposed, flipped, stepped, broadcast, expanded, mixed, offset, zero_dimensional, zero_with_many, empty,
    one_element, many,
)  # fmt: skip


# ---- running and comparing ------------------------------------------------------------------------------------------


def outcomes(calls: dict[Any, Callable[[], Any]]) -> dict[Any, Any]:
    """What each call gives, as an array, or the exception it raises. The results are computed together: several results
    of one size make one kernel, and making kernels is what takes time."""
    made: dict[Any, Any] = {}
    for key, call in calls.items():
        try:
            made[key] = call()
        except Exception as error:
            made[key] = error
    nodes = {key: value._storage.node for key, value in made.items() if isinstance(value, webtorch.Tensor)}
    try:
        engine.realize(nodes.values())
    except Exception:  # whose fault was it?
        for key, node in nodes.items():
            try:
                engine.realize([node])
            except Exception as error:
                made[key] = error
    return {key: value.detach().numpy() if isinstance(value, webtorch.Tensor) else value for key, value in made.items()}


def agree(
    got: Any, wanted: Any, context: str, *, rtol: float | None = None, atol: float | None = None, scale: float = 0.0
) -> None:
    """Fail unless both are the same error, or arrays of one shape and dtype that agree: exactly for integers and bools,
    within TOLERANCES for floats, with NaN and the infinities in the same places. `scale` is the size that absolute
    errors are measured in where it is not the largest result."""
    if isinstance(wanted, Exception) or isinstance(got, Exception):
        assert type(got) is type(wanted), f"{context}: {got!r} instead of {wanted!r}"
        return
    assert got.dtype == wanted.dtype, f"{context}: {got.dtype} instead of {wanted.dtype}"
    assert got.shape == wanted.shape, f"{context}: shape {got.shape} instead of {wanted.shape}"
    if got.dtype.kind != "f":
        assert np.array_equal(got, wanted), difference(got, wanted, got != wanted, context)
        return
    relative, absolute = TOLERANCES[got.dtype.name]
    relative, absolute = relative if rtol is None else rtol, absolute if atol is None else atol
    finite = np.isfinite(wanted)
    size = min(max(scale, 1.0), 1e30)
    with np.errstate(all="ignore"):
        near = np.abs(got.astype(np.float64) - wanted.astype(np.float64)) <= absolute * size + relative * np.abs(
            wanted.astype(np.float64)
        )
        good = np.where(finite, near, (got == wanted) | (np.isnan(got) & np.isnan(wanted)))
    assert good.all(), difference(got, wanted, ~good, context)


def difference(got: np.ndarray, wanted: np.ndarray, wrong: np.ndarray, context: str) -> str:
    places = np.argwhere(np.atleast_1d(wrong))
    shown = ", ".join(
        f"{tuple(map(int, p))}: {np.atleast_1d(got)[tuple(p)]!r} instead of {np.atleast_1d(wanted)[tuple(p)]!r}"
        for p in places[:4]
    )
    return f"{context}: {len(places)} of {got.size} elements differ: {shown}"


def need(name: str, device: str = "webgpu") -> None:
    """Skip the test when its device is a GPU that has not this dtype."""
    if device == "webgpu" and missing_on_gpu(name):
        pytest.skip(f"this adapter has no {name}")


def missing_on_gpu(name: str) -> bool:
    """True for a dtype that the adapter here cannot compute in: making a tensor of it there raises DTypeError."""
    device = get_device()
    try:
        codegen.check_features(DTYPES[name], engine.limits_of(device), name)
    except DTypeError:
        return True
    return False
