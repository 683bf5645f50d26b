"""The array API standard, 2024.12: every name of its list, each called, with numpy as the oracle."""

import inspect

import numpy as np
import pytest

import webtorch
from webtorch import array_api as xp

# The standard's list (data-apis.org/array-api/2024.12/API_specification), by its chapters.
CONSTANTS = "e inf nan newaxis pi".split()
CREATION = """arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu zeros
    zeros_like""".split()
DATA_TYPES = "astype broadcast_arrays broadcast_to can_cast finfo iinfo isdtype result_type".split()
TYPES = "bool int8 int16 int32 int64 uint8 float32 float64 complex64 complex128".split()
ABSENT_TYPES = "uint16 uint32 uint64".split()
ELEMENTWISE = """abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert bitwise_or
    bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor floor_divide greater
    greater_equal hypot imag isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not
    logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive pow real reciprocal remainder round
    sign signbit sin sinh sqrt square subtract tan tanh trunc""".split()
INDEXING = "take take_along_axis".split()
INSPECTION = ["__array_namespace_info__"]
LINEAR = "matmul matrix_transpose tensordot vecdot".split()
MANIPULATION = """broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze stack
    tile unstack""".split()
SEARCHING = "argmax argmin count_nonzero nonzero searchsorted where".split()
SETS = "unique_all unique_counts unique_inverse unique_values".split()
SORTING = "argsort sort".split()
STATISTICS = "cumulative_prod cumulative_sum max mean min prod std sum var".split()
UTILITY = "all any diff".split()
LINALG = """cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank matrix_transpose outer pinv
    qr slogdet solve svd svdvals tensordot trace vecdot vector_norm""".split()
FFT = "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift".split()
METHODS = """__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__ __dlpack_device__ __eq__ __float__
    __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__
    __neg__ __or__ __pos__ __pow__ __rshift__ __setitem__ __sub__ __truediv__ __xor__ to_device __iadd__ __isub__ __imul__
    __itruediv__ __ifloordiv__ __ipow__ __imod__ __iand__ __ior__ __ixor__ __ilshift__ __irshift__ __radd__ __rsub__
    __rmul__ __rtruediv__ __rfloordiv__ __rpow__ __rmod__ __rmatmul__ __rand__ __ror__ __rxor__ __rlshift__ __rrshift__""".split()
ATTRIBUTES = "dtype device mT ndim shape size T".split()
FUNCTIONS = sorted(
    {
        *CREATION,
        *DATA_TYPES,
        *ELEMENTWISE,
        *INDEXING,
        *LINEAR,
        *MANIPULATION,
        *SEARCHING,
        *SETS,
        *SORTING,
        *STATISTICS,
        *UTILITY,
    }
)

RNG = np.random.default_rng(0)
F = RNG.normal(size=(3, 4)).astype(np.float32)
P = (RNG.random((3, 4)) + 0.5).astype(np.float32)
I = RNG.integers(-9, 9, (3, 4)).astype(np.int32)
J = (RNG.integers(1, 5, (3, 4)) * RNG.choice([-1, 1], (3, 4))).astype(np.int32)
U = RNG.integers(0, 200, (3, 4)).astype(np.uint8)
L = np.array([3, -1, 3, 2, 2, 3], np.int64)
B = RNG.random((3, 4)) > 0.5
C = (RNG.normal(size=(3, 4)) + 1j * RNG.normal(size=(3, 4))).astype(np.complex64)
V = np.array([1.0, 2.5, np.nan, -np.inf, 0.0, -0.0], np.float32)
S = (F @ F.T + np.eye(3, dtype=np.float32) * 3).astype(np.float32)
Z = np.array(2, np.int16)


def case(call, *arrays, **more):
    return call, arrays, more


CASES: dict[str, list] = {name: [] for name in FUNCTIONS}
for _name in "acosh".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a + 1), P)]
for _name in "acos asin atanh".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a / 4), F)]
for _name in "asinh atan cos cosh exp expm1 sin sinh tan tanh square negative positive abs sign".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a), each) for each in (F, C)]
for _name in "log log1p log2 log10 sqrt reciprocal".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a), each) for each in (P,)]
for _name in "ceil floor round trunc".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a), each) for each in (F * 3, I, U)]
for _name in "isfinite isinf isnan".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a), each) for each in (V, I, C, B)]
for _name in "add subtract multiply".split():
    CASES[_name] = [
        case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), *each)
        for each in ((F, P), (I, J), (C, F), (I, Z), (F, F[0]))
    ]
    CASES[_name] += [
        case(lambda x, a, _name=_name: getattr(x, _name)(a, 2), F),
        case(lambda x, a, _name=_name: getattr(x, _name)(3, a), I),
    ]
for _name in "equal not_equal less less_equal greater greater_equal maximum minimum".split():
    CASES[_name] = [
        case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), *each) for each in ((F, P), (I, J), (U, Z))
    ]
    CASES[_name] += [case(lambda x, a, _name=_name: getattr(x, _name)(a, 1), I)]
for _name in "atan2 copysign hypot logaddexp nextafter".split():
    CASES[_name] = [case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), F, P)]
for _name in "floor_divide remainder".split():
    CASES[_name] = [case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), *each) for each in ((I, J), (F, P))]
for _name in "bitwise_and bitwise_or bitwise_xor".split():
    CASES[_name] = [
        case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), *each) for each in ((I, J), (B, ~B), (U, U))
    ]
for _name in "bitwise_left_shift bitwise_right_shift".split():
    CASES[_name] = [case(lambda x, a, _name=_name: getattr(x, _name)(a, x.asarray(2, dtype=x.int32)), I)]
for _name in "logical_and logical_or logical_xor".split():
    CASES[_name] = [case(lambda x, a, b, _name=_name: getattr(x, _name)(a, b), B, B[::-1])]
for _name in "max min".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), each)
        for each in (F, I)
        for k in ({}, {"axis": 1}, {"axis": (0, 1), "keepdims": True}, {"axis": -2})
    ]
for _name in "sum prod".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), each)
        for each in (F, C, J)
        for k in ({}, {"axis": 1}, {"axis": (0, 1), "keepdims": True}, {"axis": -2})
    ]
for _name in "mean var std".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), F)
        for k in ({}, {"axis": 1}, {"axis": (0, 1), "keepdims": True})
    ]
for _name in "var std".split():
    CASES[_name] += [case(lambda x, a, _name=_name: getattr(x, _name)(a, axis=0, correction=1.5), F)]
for _name in "all any".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), each)
        for each in (B, I)
        for k in ({}, {"axis": 1}, {"axis": (0, 1), "keepdims": True})
    ]
for _name in "argmax argmin".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), F)
        for k in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}, {"keepdims": True})
    ]
for _name in "cumulative_sum cumulative_prod".split():
    CASES[_name] = [
        case(lambda x, a, k=k, _name=_name: getattr(x, _name)(a, **k), each)
        for each in (F, J)
        for k in ({"axis": 0}, {"axis": -1, "include_initial": True})
    ]
    CASES[_name] += [case(lambda x, a, _name=_name: getattr(x, _name)(a), L)]
CASES |= {
    "divide": [case(lambda x, a, b: x.divide(a, b), F, P), case(lambda x, a: x.divide(1, a), P), case(lambda x, a: x.divide(a, 2.0), C)],
    "pow": [case(lambda x, a, b: x.pow(a, b), P, F), case(lambda x, a: x.pow(a, 3), I), case(lambda x, a: x.pow(2.0, a), F)],
    "bitwise_invert": [case(lambda x, a: x.bitwise_invert(a), each) for each in (I, B, U)],
    "logical_not": [case(lambda x, a: x.logical_not(a), B)], "signbit": [case(lambda x, a: x.signbit(a), V)],
    "conj": [case(lambda x, a: x.conj(a), C)], "real": [case(lambda x, a: x.real(a), C)], "imag": [case(lambda x, a: x.imag(a), C)],
    "clip": [case(lambda x, a: x.clip(a, -1, 2), I), case(lambda x, a: x.clip(a, min=0.0), F), case(lambda x, a: x.clip(a, max=0.5), F),
             case(lambda x, a, b: x.clip(a, b, None), F, F[0]), case(lambda x, a: x.clip(a), F)],
    "arange": [case(lambda x, k=k: x.arange(*k)) for k in ((5,), (2, 9, 3), (5, 0, -2))]
    + [case(lambda x: x.arange(5, 1, dtype=x.int32)), case(lambda x: x.arange(0, 1, 0.25, dtype=x.float32))],
    "asarray": [case(lambda x: x.asarray([[1, 2], [3, 4]])), case(lambda x: x.asarray([True])), case(lambda x: x.asarray([1], dtype=x.float32)),
                case(lambda x, a: x.asarray(a, copy=True), F), case(lambda x, a: x.asarray(a, copy=False), F)],
    "empty": [case(lambda x: x.empty((2, 3), dtype=x.int8) * 0), case(lambda x: x.empty(0, dtype=x.float32))],
    "empty_like": [case(lambda x, a: x.empty_like(a, dtype=x.int32) * 0, F)],
    "zeros": [case(lambda x: x.zeros(3, dtype=x.int32)), case(lambda x: x.zeros((2, 2), dtype=x.complex64))],
    "ones": [case(lambda x: x.ones((2, 3), dtype=x.float32)), case(lambda x: x.ones((), dtype=x.bool))],
    "zeros_like": [case(lambda x, a: x.zeros_like(a), I)], "ones_like": [case(lambda x, a: x.ones_like(a, dtype=x.uint8), I)],
    "full": [case(lambda x: x.full((2, 2), 7)), case(lambda x: x.full(2, True)), case(lambda x: x.full(2, 1.5, dtype=x.float32))],
    "full_like": [case(lambda x, a: x.full_like(a, 3), F)],
    "eye": [case(lambda x, k=k: x.eye(3, 4, k=k, dtype=x.float32)) for k in (0, 1, -2)] + [case(lambda x: x.eye(2, dtype=x.int32))],
    "from_dlpack": [case(lambda x, a: x.from_dlpack(a), F)],
    "linspace": [case(lambda x: x.linspace(0, 1, 5, dtype=x.float32)), case(lambda x: x.linspace(1, 3, 4, endpoint=False, dtype=x.float32))],
    "meshgrid": [case(lambda x, a, b: x.meshgrid(a, b), P[0], F[0, :2]), case(lambda x, a, b: x.meshgrid(a, b, indexing="ij"), P[0], F[0, :2])],
    "tril": [case(lambda x, a, k=k: x.tril(a, k=k), F) for k in (0, 1, -1)], "triu": [case(lambda x, a, k=k: x.triu(a, k=k), F) for k in (0, 1, -1)],
    "astype": [case(lambda x, a: x.astype(a, x.int32), F * 5), case(lambda x, a: x.astype(a, x.float32), I), case(lambda x, a: x.astype(a, x.bool), I)],
    "broadcast_arrays": [case(lambda x, a, b: x.broadcast_arrays(a, b), F, F[:, :1])], "broadcast_to": [case(lambda x, a: x.broadcast_to(a, (2, 3, 4)), F)],
    "can_cast": [case(lambda x: [x.can_cast(x.int8, x.int16), x.can_cast(x.int16, x.int8), x.can_cast(x.float64, x.float32), x.can_cast(x.bool, x.bool)])],
    "finfo": [case(lambda x, n=n: [getattr(x.finfo(getattr(x, n)), f) for f in ("bits", "eps", "max", "min", "smallest_normal")]) for n in ("float32", "float64", "complex64")],
    "iinfo": [case(lambda x, n=n: [getattr(x.iinfo(getattr(x, n)), f) for f in ("bits", "max", "min")]) for n in ("int8", "int64", "uint8")],
    "isdtype": [case(lambda x, n=n, k=k: x.isdtype(getattr(x, n), k)) for n in ("bool", "int8", "uint8", "float32", "complex64")
                for k in ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric", ("bool", "integral"))],
    "result_type": [case(lambda x, n=n: str(x.result_type(*(getattr(x, each) for each in n))).removeprefix("webtorch.")) for n in (("int8", "int16"), ("uint8", "int8"), ("float32", "float64"), ("float32", "complex64"), ("int32", "int64"))],
    "take": [case(lambda x, a, b: x.take(a, b % 3, axis=0), F, L), case(lambda x, a, b: x.take(a, b, axis=1), F, L), case(lambda x, a, b: x.take(a, b, axis=0), L, L)],
    "take_along_axis": [case(lambda x, a, b: x.take_along_axis(a, b % 3, axis=0), F, I.astype(np.int64)), case(lambda x, a, b: x.take_along_axis(a, b), F, np.array([[0], [-1], [2]]))],
    "matmul": [case(lambda x, a, b: x.matmul(a, b), F, F.T.copy()), case(lambda x, a, b: x.matmul(a, b), F, F[0])],
    "matrix_transpose": [case(lambda x, a: x.matrix_transpose(a), F)],
    "tensordot": [case(lambda x, a, b: x.tensordot(a, b, axes=1), F, F.T.copy()), case(lambda x, a, b: x.tensordot(a, b), F, P), case(lambda x, a, b: x.tensordot(a, b, axes=((0,), (0,))), F, P)],
    "vecdot": [case(lambda x, a, b: x.vecdot(a, b), C, C[::-1].copy()), case(lambda x, a, b: x.vecdot(a, b, axis=0), F, P), case(lambda x, a, b: x.vecdot(a, b), I, J)],
    "concat": [case(lambda x, a, b: x.concat((a, b), axis=0), F, P), case(lambda x, a, b: x.concat([a, b], axis=None), I, Z.reshape(1))],
    "expand_dims": [case(lambda x, a, k=k: x.expand_dims(a, axis=k), F) for k in (0, 1, -1)],
    "flip": [case(lambda x, a, k=k: x.flip(a, axis=k), F) for k in (None, 0, (0, 1), -1)],
    "moveaxis": [case(lambda x, a: x.moveaxis(a, 0, -1), F)], "permute_dims": [case(lambda x, a: x.permute_dims(a, (1, 0)), F)],
    "repeat": [case(lambda x, a: x.repeat(a, 2), F), case(lambda x, a: x.repeat(a, 3, axis=1), I), case(lambda x, a, b: x.repeat(a, b, axis=0), F, np.array([1, 0, 2]))],
    "reshape": [case(lambda x, a, k=k: x.reshape(a, (4, 3), copy=k), F) for k in (None, True, False)] + [case(lambda x, a: x.reshape(a, (2, -1)), F)],
    "roll": [case(lambda x, a: x.roll(a, 2), F), case(lambda x, a: x.roll(a, (1, -1), axis=(0, 1)), F), case(lambda x, a: x.roll(a, 1, axis=0), F)],
    "squeeze": [case(lambda x, a: x.squeeze(a, 1), F[:, None]), case(lambda x, a: x.squeeze(a, (0, 2)), F[None, :, None])],
    "stack": [case(lambda x, a, b: x.stack((a, b), axis=-1), F, P), case(lambda x, a, b: x.stack([a, b]), I, J)],
    "tile": [case(lambda x, a: x.tile(a, (2, 1)), F), case(lambda x, a: x.tile(a, (2, 1, 2)), I)], "unstack": [case(lambda x, a, k=k: x.unstack(a, axis=k), F) for k in (0, 1)],
    "count_nonzero": [case(lambda x, a, k=k: x.count_nonzero(a, **k), I) for k in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True})],
    "nonzero": [case(lambda x, a: x.nonzero(a), I), case(lambda x, a: x.nonzero(a), B)],
    "searchsorted": [case(lambda x, a, b, k=k: x.searchsorted(a, b, side=k), np.sort(L), L) for k in ("left", "right")]
    + [case(lambda x, a, b: x.searchsorted(a, b, sorter=x.argsort(a)), F[0], P[0])],
    "where": [case(lambda x, a, b, c: x.where(a, b, c), B, F, P), case(lambda x, a, b: x.where(a, b, 0), B, I), case(lambda x, a, b, c: x.where(a, b, c), B, I, Z)],
    "unique_all": [case(lambda x, a: x.unique_all(a), each) for each in (L, I, B, F, U, C, L[:0])], "unique_counts": [case(lambda x, a: x.unique_counts(a), L)],
    "unique_inverse": [case(lambda x, a: x.unique_inverse(a), I)], "unique_values": [case(lambda x, a: x.sort(x.unique_values(a)), L)],
    "sort": [case(lambda x, a, k=k: x.sort(a, **k), each) for each in (F, I) for k in ({}, {"axis": 0})],
    "argsort": [case(lambda x, a, k=k: x.argsort(a, stable=True, **k), each) for each in (F, I) for k in ({}, {"axis": 0})],
    "diff": [case(lambda x, a: x.diff(a), F), case(lambda x, a: x.diff(a, axis=0, n=2), I), case(lambda x, a: x.diff(a, prepend=a[:, :1], append=a[:, :2]), F)],
}  # fmt: skip

EXTENSIONS = {
    "cholesky": [case(lambda x, a: x.linalg.cholesky(a), S), case(lambda x, a: x.linalg.cholesky(a, upper=True), S)],
    "cross": [case(lambda x, a, b: x.linalg.cross(a, b, axis=0), F, P)], "det": [case(lambda x, a: x.linalg.det(a), S)],
    "diagonal": [case(lambda x, a: x.linalg.diagonal(a, offset=1), F)], "eigh": [case(lambda x, a: x.linalg.eigh(a).eigenvalues, S)],
    "eigvalsh": [case(lambda x, a: x.linalg.eigvalsh(a), S)], "inv": [case(lambda x, a: x.linalg.inv(a), S)],
    "matmul": [case(lambda x, a, b: x.linalg.matmul(a, b), S, F)], "matrix_norm": [case(lambda x, a, k=k: x.linalg.matrix_norm(a, ord=k), F) for k in ("fro", 1, 2)],
    "matrix_power": [case(lambda x, a: x.linalg.matrix_power(a, 3), S / 4)], "matrix_rank": [case(lambda x, a: x.linalg.matrix_rank(a), F)],
    "matrix_transpose": [case(lambda x, a: x.linalg.matrix_transpose(a), F)], "outer": [case(lambda x, a, b: x.linalg.outer(a, b), F[0], P[:, 0])],
    "pinv": [case(lambda x, a: x.linalg.pinv(a), F)], "qr": [case(lambda x, a: x.abs(x.linalg.qr(a).R), F)], "slogdet": [case(lambda x, a: list(x.linalg.slogdet(a)), S)],
    "solve": [case(lambda x, a, b: x.linalg.solve(a, b), S, F), case(lambda x, a, b: x.linalg.solve(a, b), S, F[:, 0])],
    "svd": [case(lambda x, a: x.linalg.svd(a, full_matrices=False).S, F)], "svdvals": [case(lambda x, a: x.linalg.svdvals(a), F)],
    "tensordot": [case(lambda x, a, b: x.linalg.tensordot(a, b), F, P)], "trace": [case(lambda x, a: x.linalg.trace(a, offset=1), F), case(lambda x, a: x.linalg.trace(a), I)],
    "vecdot": [case(lambda x, a, b: x.linalg.vecdot(a, b), F, P)], "vector_norm": [case(lambda x, a, k=k: x.linalg.vector_norm(a, **k), F) for k in ({}, {"axis": 0}, {"ord": 1, "axis": 1, "keepdims": True})],
}  # fmt: skip
TRANSFORMS = {
    name: [case(lambda x, a, name=name: getattr(x.fft, name)(a), C)]
    for name in "fft ifft fftn ifftn irfft irfftn hfft fftshift ifftshift".split()
}
TRANSFORMS |= {name: [case(lambda x, a, name=name: getattr(x.fft, name)(a), F)] for name in "rfft rfftn ihfft".split()}
TRANSFORMS |= {name: [case(lambda x, name=name: getattr(x.fft, name)(5, d=0.5))] for name in "fftfreq rfftfreq".split()}
ALL = {
    **CASES,
    **{f"linalg.{name}": each for name, each in EXTENSIONS.items()},
    **{f"fft.{name}": each for name, each in TRANSFORMS.items()},
}


def test_every_name_is_there_and_called():
    assert sorted(CASES) == FUNCTIONS and all(CASES.values())
    assert sorted(EXTENSIONS) == sorted(LINALG) and sorted(TRANSFORMS) == sorted(FFT)
    for name in [*FUNCTIONS, *CONSTANTS, *TYPES, *INSPECTION]:
        assert hasattr(xp, name), name
    for name in LINALG:
        assert callable(getattr(xp.linalg, name)), name
    for name in FFT:
        assert callable(getattr(xp.fft, name)), name
    for name in [*METHODS, *ATTRIBUTES]:
        assert hasattr(webtorch.Tensor, name) or hasattr(webtorch.ones(2, 2), name), name
    for name in FUNCTIONS:
        assert inspect.getdoc(getattr(xp, name)), name
    for name in ABSENT_TYPES:
        assert not hasattr(xp, name)
        with pytest.raises(webtorch.DTypeError, match=name):
            getattr(xp, name)
    assert xp.__array_api_version__ == "2024.12" and xp.newaxis is None and xp.pi == np.pi and xp.e == np.e
    with pytest.raises(AttributeError):
        xp.no_such_name  # noqa: B018


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.detach().cpu().numpy() if isinstance(value, webtorch.Tensor) else value


def compare(found, expected, name):
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            compare(one, other, name)
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert isinstance(found, (np.ndarray, float)) and np.shape(found) == expected.shape, (
            name,
            np.shape(found),
            expected.shape,
        )
        if isinstance(found, np.ndarray) and not name.startswith(
            ("fft.", "finfo", "linspace", "linalg.matrix_rank", "full")
        ):
            assert found.dtype == expected.dtype, (name, found.dtype, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5, err_msg=name)
    else:
        assert found == expected, name


@pytest.mark.parametrize("name", sorted(ALL))
def test_against_numpy(name, device):
    if not hasattr(np, "unstack"):
        pytest.fail("numpy 2.1 or newer is the oracle")
    with webtorch.device(device), np.errstate(all="ignore"):
        # What is asked is how the standard's arguments are understood; the kernels have tests of their own.
        for call, arrays, _ in ALL[name] if device == "cpu" else ALL[name][:2]:
            expected = call(np, *arrays)
            given = [webtorch.tensor(np.ascontiguousarray(array), device=device) for array in arrays]
            found = call(xp, *given)
            if isinstance(found, webtorch.Tensor) and arrays:
                assert found.device.type == device
            compare(plain(found), expected, name)


def test_what_differs_from_the_top_namespace(device):
    x = webtorch.tensor([1.0, 2.0], device=device)
    assert xp.equal(x, x).tolist() == [True, True] and xp.std(x).item() == 0.5
    assert xp.sort(x, descending=True).tolist() == [2, 1] and xp.argsort(x, descending=True).tolist() == [1, 0]
    assert xp.add(x, webtorch.tensor(1, dtype=webtorch.complex64, device=device)).dtype is webtorch.complex64
    assert xp.result_type(x, 1j) is webtorch.complex64 and xp.result_type(webtorch.int8, 3) is webtorch.int8
    assert xp.astype(x, xp.float32) is not x and xp.astype(x, xp.float32, copy=False) is x
    assert xp.astype(x, xp.int32, device="cpu").is_cpu and x.to_device(device) is x
    assert xp.unique_counts(webtorch.tensor([np.nan, 1, np.nan], device=device)).counts.tolist() == [1, 1, 1]
    assert xp.sum(xp.ones((), dtype=xp.float32, device=device)).item() == 1 and xp.mean(x[0]).item() == 1
    assert xp.argmax(x[0]).item() == 0 and xp.var(x[0]).item() == 0 and xp.count_nonzero(x[0]).item() == 1


def test_operators(device):
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    y = x.clone()
    y @= x
    assert (
        y.tolist() == [[7, 10], [15, 22]] and (+x).tolist() == x.tolist() and (x.T @ x).tolist() == [[10, 14], [14, 20]]
    )


def test_errors(device):
    x, i, c = (webtorch.ones(2, 2, dtype=dtype, device=device) for dtype in (xp.float32, xp.int32, xp.complex64))
    for call in (lambda: xp.add(1, 2), lambda: xp.sin(1.0), lambda: xp.add(x, "a"), lambda: xp.add(x, np.ones(2)), lambda: xp.sin(i),
                 lambda: xp.less(c, c), lambda: xp.bitwise_and(x, x), lambda: xp.logical_not(x), lambda: xp.mean(i), lambda: xp.max(c),
                 lambda: xp.imag(x), lambda: xp.clip(i, 0.5), lambda: xp.sort(c)):  # fmt: skip
        with pytest.raises(TypeError):
            call()
    for call in (lambda: xp.nonzero(x[0, 0]), lambda: xp.squeeze(x, 0), lambda: xp.take(x, i[0]), lambda: xp.cumulative_sum(x),
                 lambda: xp.reshape(x.T, 4, copy=False), lambda: xp.asarray([1], copy=False), lambda: xp.asarray(x, dtype=xp.int8, copy=False),
                 lambda: xp.isdtype(xp.int8, "whole"), lambda: xp.result_type(1, 2), lambda: x.to_device("cpu", stream=1),
                 lambda: x.__array_namespace__(api_version="1999.1")):  # fmt: skip
        with pytest.raises(ValueError):
            call()
    with pytest.raises(IndexError):
        xp.sum(x, axis=2)


def test_what_the_namespace_says_of_itself(device):
    assert webtorch.ones(1, device=device).__array_namespace__(api_version="2024.12") is xp
    info = xp.__array_namespace_info__()
    assert set(info.capabilities()) == {"boolean indexing", "data-dependent shapes", "max dimensions"}
    with webtorch.device(device):
        assert info.default_device() == device and device in [str(each).partition(":")[0] for each in info.devices()]
    assert info.default_dtypes() == {
        "real floating": xp.float32,
        "complex floating": xp.complex64,
        "integral": xp.int64,
        "indexing": xp.int64,
    }
    found = info.dtypes(device=device)
    assert set(found) <= set(TYPES) and found["int64"] is xp.int64 and (device == "webgpu" or set(found) == set(TYPES))
    for name, dtype in found.items():
        assert xp.zeros(1, dtype=dtype, device=device).dtype is getattr(xp, name)
    assert set(info.dtypes(kind="integral")) == {"int8", "int16", "int32", "int64", "uint8"}
    assert set(info.dtypes(device="cpu", kind=("bool", "real floating"))) == {"bool", "float32", "float64"}


def test_a_program_that_knows_only_the_standard(device):
    def softmax(x, axis):
        space = x.__array_namespace__()
        e = space.exp(x - space.max(x, axis=axis, keepdims=True))
        return e / space.sum(e, axis=axis, keepdims=True)

    found = softmax(webtorch.tensor(F, device=device), 1)
    np.testing.assert_allclose(found.numpy(), softmax(F, 1), rtol=1e-5)
