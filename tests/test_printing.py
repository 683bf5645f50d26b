"""The text of tensors against PyTorch's: recorded always, PyTorch itself where it is installed.

``python tests/test_printing.py`` records the texts anew.
"""

import json
import math
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from webtorch import dtypes, printing
from webtorch.printing import edge_view, format_tensor, get_printoptions, printoptions, set_printoptions

GOLDENS = pathlib.Path(__file__).parent / "goldens" / "printing.json"


@pytest.fixture(autouse=True)
def default_options():
    set_printoptions(profile="default")
    yield
    set_printoptions(profile="default")


class TorchNamed:
    """A dtype that is written as PyTorch's: the two names differ in length, and so lines would break elsewhere."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f"torch.{self.name}"


def ours(array, requires_grad=False, **options):
    with printoptions(**options):
        return format_tensor(array, dtype=TorchNamed(array.dtype.name), requires_grad=requires_grad)


def theirs(torch, array, requires_grad=False, **options):
    torch.set_printoptions(profile="default")
    torch.set_printoptions(**options)
    try:
        return repr(torch.from_numpy(np.ascontiguousarray(array)).reshape(array.shape).requires_grad_(requires_grad))
    finally:
        torch.set_printoptions(profile="default")


def f32(*values):
    return np.array(values, dtype=np.float32)


def ramp(*shape, dtype="float32", scale=1.0, shift=0.0):
    return ((np.arange(math.prod(shape)) * scale + shift).reshape(shape)).astype(dtype)


nan, inf = math.nan, math.inf

# name: (array, options)
CASES = {
    "scalar": (np.float32(1.5).reshape(()), {}),
    "scalar whole": (np.float32(3).reshape(()), {}),
    "scalar nan": (np.float32(nan).reshape(()), {}),
    "scalar int": (np.array(-7), {}),
    "scalar bool": (np.array(True), {}),
    "scalar tiny": (np.float32(1e-6).reshape(()), {}),
    "vector": (f32(1, 2.5, -3), {}),
    "whole": (f32(1, 2, -30), {}),
    "zeros": (f32(0, -0.0, 0), {}),
    "not finite": (f32(nan, inf, -inf), {}),
    "whole and not finite": (f32(1, 1000, nan, -inf), {}),
    "fractions and not finite": (f32(0.5, nan, -inf), {}),
    "scientific by spread": (f32(1, 1001), {}),
    "spread of exactly 1000": (f32(1, 1000), {}),
    "scientific by size": (f32(2e8, 1.5e8), {}),
    "exactly 1e8": (f32(1e8), {}),
    "scientific by smallness": (f32(9e-5, 2e-5, nan, 0), {}),
    "exactly 1e-4 in double": (np.array([1e-4]), {}),
    "overflowing spread": (np.array([5e-324, 1.7e308]), {}),
    "negative scientific": (f32(-1e-7, 3, inf), {}),
    "long lines": (ramp(40, scale=0.37), {}),
    "long lines of ints": (ramp(60, dtype="int64", scale=7), {}),
    "matrix": (ramp(3, 4, scale=0.5), {}),
    "wide matrix": (ramp(2, 30, scale=-1.25), {}),
    "three dimensions": (ramp(2, 3, 2), {}),
    "four dimensions": (ramp(2, 1, 2, 2, dtype="int32"), {}),
    "bools": (ramp(2, 3, dtype="int64") % 2 == 0, {}),
    "uint8": (ramp(2, 3, dtype="uint8"), {}),
    "int8": (ramp(5, dtype="int8", shift=-2), {}),
    "int64 extremes": (np.array([-(2**63), 2**63 - 1, 0]), {}),
    "float16": (np.array([1.5, 65504, 6e-8], dtype=np.float16), {}),
    "float64": (np.array([[1 / 3, 2 / 3]]), {}),
    "dtype on the next line": (ramp(9, dtype="float64", scale=1.1), {}),
    "empty": (f32(), {}),
    "empty int64": (np.zeros((0,), dtype=np.int64), {}),
    "empty bool matrix": (np.zeros((0, 3), dtype=bool), {}),
    "empty matrix": (np.zeros((2, 0), dtype=np.float32), {"requires_grad": True}),
    "requires grad": (f32(1, 2), {"requires_grad": True}),
    "requires grad and dtype": (np.array([[1.5, 2.25]] * 3), {"requires_grad": True}),
    "threshold not passed": (ramp(1000, dtype="int64"), {}),
    "large vector": (ramp(1001), {}),
    "large matrix": (ramp(50, 60, scale=0.01), {}),
    "large, one short dimension": (ramp(400, 4), {}),
    "large, thin": (ramp(7, 1, 200), {}),
    "large, three dimensions": (ramp(12, 11, 10, dtype="int32"), {}),
    "edges decide the format": (np.where(ramp(2000) == 1000, 1e20, ramp(2000)).astype(np.float32), {}),
    "low threshold": (ramp(10, dtype="int64"), {"threshold": 5}),
    "one edge item": (ramp(5, 6), {"threshold": 5, "edgeitems": 1}),
    "no edge items": (ramp(5, 6), {"threshold": 5, "edgeitems": 0}),
    "no edge items, not summarized": (ramp(3), {"edgeitems": 0}),
    "precision 2": (f32(1.2345, 100.5), {"precision": 2}),
    "precision 0": (f32(1.5, 2.5, 3.5), {"precision": 0}),
    "line width 40": (ramp(30, scale=0.25), {"linewidth": 40}),
    "line width 1": (ramp(2, 3), {"linewidth": 1}),
    "profile short": (ramp(40, 40, scale=0.123), {"profile": "short"}),
    "profile full": (ramp(40, 30, dtype="int64"), {"profile": "full"}),
    "scientific forced": (f32(1, 2, 0), {"sci_mode": True}),
    "scientific forbidden": (f32(1e-7, 1e7, 0.5), {"sci_mode": False}),
}


def test_recorded_texts_are_pytorchs():
    torch = pytest.importorskip("torch")
    assert json.loads(GOLDENS.read_text()) == {
        name: theirs(torch, array, **options) for name, (array, options) in CASES.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_recorded_texts(name):
    array, options = CASES[name]
    assert ours(array, **options) == json.loads(GOLDENS.read_text())[name]


# Values at which the rules for width, whole numbers and notation turn, and any others.
turning = st.sampled_from([0.0, -0.0, 1.0, 1000.0, 1001.0, 0.5, 1e8, 1.5e8, 1e-4, 9e-5, nan, inf, -inf, -1.0, 99999.5])


@st.composite
def any_arrays(draw):
    name = draw(st.sampled_from([each.name for each in dtypes.ALL if each is not dtypes.bfloat16]))  # numpy has it not
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    elements = None
    if name.startswith("float"):
        width = int(name[5:])
        limit = np.finfo(name).max
        elements = st.one_of(
            turning.map(lambda value: float(np.clip(value, -limit, limit)) if math.isfinite(value) else value)
            .map(lambda value: float(np.dtype(name).type(value))),
            st.floats(width=width),
            st.integers(-2000, 2000).map(float),
        )  # fmt: skip
    return draw(arrays.arrays(np.dtype(name), shape, elements=elements))


@settings(max_examples=300, deadline=None)
@given(
    any_arrays(),
    st.sampled_from([4, 4, 2, 0, 7]),
    st.sampled_from([1000, 20, 0]),
    st.sampled_from([3, 2, 1, 0]),
    st.sampled_from([80, 80, 30, 5]),
    st.sampled_from([None, None, True, False]),
)
def test_any_array_is_written_as_pytorch_does(array, precision, threshold, edgeitems, linewidth, sci_mode):
    torch = pytest.importorskip("torch")
    options = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
        "sci_mode": sci_mode,
    }
    assert ours(array, **options) == theirs(torch, array, **options)


@settings(deadline=None)
@given(any_arrays(), st.sampled_from([0, 10, 1000]), st.integers(0, 3), st.booleans())
def test_edges_are_enough(array, threshold, edgeitems, transposed):
    if transposed:
        array = array.T
    with printoptions(threshold=threshold, edgeitems=edgeitems):
        whole = format_tensor(array, dtype=dtypes.from_numpy_dtype(array.dtype))
        found = edge_view(array.shape, array.strides)
        if found is None:
            assert array.size <= threshold
        else:
            view_shape, strides, edge_shape = found
            edges = np.lib.stride_tricks.as_strided(array, view_shape, strides).reshape(edge_shape)
            assert max(edges.shape, default=0) <= max(2 * edgeitems, 0)
            assert format_tensor(edges, dtype=dtypes.from_numpy_dtype(array.dtype), shape=array.shape) == whole


def test_huge_tensor_needs_only_its_edges():
    # A terabyte, of which 36 elements exist.
    shape, strides = (2**20, 2**18), (2**18, 1)
    view_shape, view_strides, edge_shape = edge_view(shape, strides)
    assert (view_shape, edge_shape) == ((2, 3, 2, 3), (6, 6))
    assert view_strides == ((2**20 - 3) * 2**18, 2**18, 2**18 - 3, 1)
    text = format_tensor(np.eye(6, dtype=np.float32), dtype=dtypes.float32, shape=shape)
    assert text == (
        "tensor([[1., 0., 0.,  ..., 0., 0., 0.],\n"
        "        [0., 1., 0.,  ..., 0., 0., 0.],\n"
        "        [0., 0., 1.,  ..., 0., 0., 0.],\n"
        "        ...,\n"
        "        [0., 0., 0.,  ..., 1., 0., 0.],\n"
        "        [0., 0., 0.,  ..., 0., 1., 0.],\n"
        "        [0., 0., 0.,  ..., 0., 0., 1.]])"
    )


def test_elements_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) for a tensor of shape \(2, 3\)"):
        format_tensor(np.zeros(3), dtype=dtypes.float64, shape=(2, 3))
    with pytest.raises(ValueError):
        format_tensor(np.zeros((5, 6)), dtype=dtypes.float64, shape=(5000, 6000))


def test_suffixes():
    x = f32(1, 2)
    text = lambda **arguments: format_tensor(x, dtype=dtypes.float32, **arguments)
    assert text(device="webgpu:0") == "tensor([1., 2.], device='webgpu:0')"
    assert text(grad_fn_name="MulBackward0") == "tensor([1., 2.], grad_fn=<MulBackward0>)"
    assert text(grad_fn_name="MulBackward0", requires_grad=True) == "tensor([1., 2.], grad_fn=<MulBackward0>)"
    assert text(is_parameter=True, requires_grad=True) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"
    assert format_tensor(x.astype(np.int32), dtype=dtypes.int32, device="webgpu:0") == (
        "tensor([1, 2], device='webgpu:0', dtype=webtorch.int32)"
    )
    assert format_tensor(np.zeros((0, 3)), dtype=dtypes.float64) == ("tensor([], size=(0, 3), dtype=webtorch.float64)")


@pytest.mark.parametrize("count", range(1, 14))
@pytest.mark.parametrize("rows", [1, 2])
def test_grad_fn_and_line_breaks_are_pytorchs(count, rows):
    torch = pytest.importorskip("torch")
    array = ramp(rows, count, scale=0.25)
    expected = torch.from_numpy(array).requires_grad_() * 1
    assert ours_with(array, grad_fn_name="MulBackward0") == repr(expected)
    expected = torch.from_numpy(array.astype(np.float64)).requires_grad_() * 1
    assert ours_with(array.astype(np.float64), grad_fn_name="MulBackward0") == repr(expected)


def test_suffixes_go_to_the_next_line_where_pytorchs_do():
    torch = pytest.importorskip("torch")
    broken = set()
    for name, value in [("int8", 1), ("int8", 10), ("int8", 100), ("int8", -100), ("int32", 10**4), ("int32", 10**6)]:
        for count in range(1, 20):  # nine times -100 ends one column too late for the suffix
            array = np.full(count, value, dtype=name)
            text = ours(array)
            assert text == theirs(torch, array)
            broken.add(text.endswith(f"\n       dtype=torch.{name})"))
    assert broken == {True, False}


def ours_with(array, **arguments):
    return format_tensor(array, dtype=TorchNamed(array.dtype.name), **arguments)


def test_default_dtype_is_not_named():
    array = np.array([1.5])
    try:
        dtypes.set_default_dtype(dtypes.float64)
        assert format_tensor(array, dtype=dtypes.float64) == "tensor([1.5000])"
        assert format_tensor(array.astype(np.float32), dtype=dtypes.float32) == (
            "tensor([1.5000], dtype=webtorch.float32)"
        )
    finally:
        dtypes.set_default_dtype(dtypes.float32)


def test_indent_moves_the_following_lines():
    text = format_tensor(ramp(2, 2), dtype=dtypes.float32, indent=5)
    assert text == "tensor([[0., 1.],\n             [2., 3.]])"


def test_options():
    default = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
    assert get_printoptions() == default
    set_printoptions(precision=6, sci_mode=True)
    assert get_printoptions() == default | {"precision": 6, "sci_mode": True}
    set_printoptions(linewidth=100)  # sci_mode goes back to automatic
    assert get_printoptions() == default | {"precision": 6, "linewidth": 100}
    set_printoptions(profile="short", edgeitems=1)
    assert get_printoptions() == default | {"precision": 2, "edgeitems": 1}
    set_printoptions(profile="full")
    assert get_printoptions() == default | {"threshold": math.inf}
    set_printoptions(profile="default")
    with pytest.raises(ZeroDivisionError), printoptions(precision=1):
        assert printing.get_printoptions()["precision"] == 1
        raise ZeroDivisionError
    assert get_printoptions() == default
    with pytest.raises(ValueError, match="the profiles are default, short, full"):
        set_printoptions(profile="long")


def test_options_are_pytorchs():
    torch = pytest.importorskip("torch")
    try:
        for call in ({"precision": 6, "sci_mode": True}, {"linewidth": 100}, {"profile": "short", "edgeitems": 1}):
            torch.set_printoptions(**call)
            set_printoptions(**call)
            assert get_printoptions() == torch._tensor_str.get_printoptions()
    finally:
        torch.set_printoptions(profile="default")


if __name__ == "__main__":
    import torch

    recorded = {name: theirs(torch, array, **options) for name, (array, options) in CASES.items()}
    GOLDENS.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
