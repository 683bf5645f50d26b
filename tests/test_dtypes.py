"""Element types against PyTorch's: recorded tables always, PyTorch itself where it is installed.

``python tests/test_dtypes.py`` records the tables anew.
"""

import copy
import csv
import itertools
import pathlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webtorch import dtypes
from webtorch.errors import DTypeError

GOLDENS = pathlib.Path(__file__).parent / "goldens"
NAMES = [
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
    "complex128",
]  # fmt: skip
# Operands are spelled int8[2] (with dimensions), int8[] (a tensor without) and by their Python type for scalars.
OPERANDS = [name + "[2]" for name in NAMES] + [name + "[]" for name in NAMES] + ["bool", "int", "float", "complex"]


SCALARS = {"bool": True, "int": 1, "float": 1.0, "complex": 1j}


def no_half(name):
    """PyTorch has complex numbers of halves; here their parts are at least float32."""
    return str(name).removeprefix("torch.").replace("complex32", "complex64")


@pytest.fixture(autouse=True)
def restore_default_dtype():
    before = dtypes.get_default_dtype()
    yield
    dtypes.set_default_dtype(before)


def our_operand(text):
    if text.endswith("[2]"):
        return dtypes.as_dtype(text[:-3]), "dimensioned"
    if text.endswith("[]"):
        return dtypes.as_dtype(text[:-2]), "zero_dim"
    return dtypes.scalar_dtype(SCALARS[text]), "scalar"


def torch_operand(torch, text):
    if text.endswith("[2]"):
        return torch.zeros(2, dtype=getattr(torch, text[:-3]))
    if text.endswith("[]"):
        return torch.zeros((), dtype=getattr(torch, text[:-2]))
    return SCALARS[text]


def torch_result_types(torch):
    rows = [["", *OPERANDS]]
    for a in OPERANDS:
        found = [torch.result_type(torch_operand(torch, a), torch_operand(torch, b)) for b in OPERANDS]
        rows.append([a, *[no_half(each) for each in found]])
    return rows


def torch_casts(torch):
    rows = [["", *NAMES]]
    for a in NAMES:
        rows.append([a, *[str(torch.can_cast(getattr(torch, a), getattr(torch, b))) for b in NAMES]])
    return rows


RECORDED = {"result_type.csv": torch_result_types, "can_cast.csv": torch_casts}


def read(name):
    with open(GOLDENS / name, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_tables_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert read(name) == RECORDED[name](torch)


def test_result_types_of_all_pairs():
    header, *rows = read("result_type.csv")
    assert len(rows) == len(OPERANDS) == 2 * len(NAMES) + 4
    for a, *expected in rows:
        for b, name in zip(header[1:], expected, strict=True):
            assert dtypes.result_dtype([our_operand(a), our_operand(b)]).name == name, (a, b)


def test_promotion_of_all_pairs():
    header, *rows = read("result_type.csv")
    for a, *expected in rows[: len(NAMES)]:
        for b, name in zip(header[1 : len(NAMES) + 1], expected, strict=False):
            promoted = dtypes.promote_types(dtypes.as_dtype(a[:-3]), dtypes.as_dtype(b[:-3]))
            assert promoted.name == name, (a, b)


def test_casts_of_all_pairs():
    header, *rows = read("can_cast.csv")
    assert len(rows) == len(dtypes.ALL)
    for a, *expected in rows:
        for b, allowed in zip(header[1:], expected, strict=True):
            assert str(dtypes.can_cast(dtypes.as_dtype(a), dtypes.as_dtype(b))) == allowed, (a, b)


@given(
    st.lists(st.sampled_from(OPERANDS), min_size=1, max_size=4),
    st.sampled_from(["float32", "float64", "float16", "bfloat16"]),
)
def test_result_type_of_several_operands(texts, default):
    """PyTorch's result_type takes two; for more, cat and where use the same state, which stacking shows here."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, default))
    dtypes.set_default_dtype(getattr(dtypes, default))
    try:
        ours = dtypes.result_dtype([our_operand(text) for text in texts])
        theirs = [torch_operand(torch, text) for text in texts]
        if len(theirs) == 1:
            expected = torch.result_type(theirs[0], theirs[0])
        elif len(theirs) == 2:
            expected = torch.result_type(*theirs)
        else:
            # Categories promote among themselves first, so folding each category and then pairing is the same.
            dimensioned = [each for each in theirs if isinstance(each, torch.Tensor) and each.ndim]
            zero_dim = [each for each in theirs if isinstance(each, torch.Tensor) and not each.ndim]
            scalars = [each for each in theirs if not isinstance(each, torch.Tensor)]
            folded = []
            for group in (dimensioned, zero_dim):
                if group:
                    kind = group[0].dtype
                    for each in group[1:]:
                        kind = torch.promote_types(kind, each.dtype)
                    folded.append(torch.zeros(group[0].shape, dtype=kind))
            folded += [max(scalars, key=lambda each: [bool, int, float, complex].index(type(each)))] if scalars else []
            if len(folded) == 3:
                lower = torch.result_type(folded[1], folded[2])
                expected = torch.result_type(folded[0], torch.zeros((), dtype=lower))
            else:
                expected = torch.result_type(folded[0], folded[-1])
        assert ours.name == no_half(expected)
    finally:
        torch.set_default_dtype(before)
        dtypes.set_default_dtype(dtypes.float32)


def test_three_categories_at_once():
    mixed = [(dtypes.int8, "dimensioned"), (dtypes.float64, "zero_dim"), (dtypes.float32, "scalar")]
    assert dtypes.result_dtype(mixed) is dtypes.float64
    assert dtypes.result_dtype(reversed(mixed)) is dtypes.float64
    assert dtypes.result_dtype([(dtypes.uint8, "dimensioned"), (dtypes.int8, "zero_dim")]) is dtypes.uint8


def test_result_dtype_refuses_nonsense():
    with pytest.raises(ValueError, match="category"):
        dtypes.result_dtype([(dtypes.int8, "tensor")])
    with pytest.raises(ValueError, match="at least one"):
        dtypes.result_dtype([])


def test_default_dtype_decides_for_floats():
    assert dtypes.scalar_dtype(1.5) is dtypes.float32
    dtypes.set_default_dtype(dtypes.float64)
    assert dtypes.get_default_dtype() is dtypes.float64
    assert dtypes.scalar_dtype(1.5) is dtypes.float64
    assert dtypes.result_dtype([(dtypes.int32, "dimensioned"), (dtypes.float32, "scalar")]) is dtypes.float64
    assert dtypes.finfo().bits == 64
    with pytest.raises(DTypeError, match="only floating-point types"):
        dtypes.set_default_dtype(dtypes.int64)


@pytest.mark.parametrize("each", dtypes.ALL, ids=str)
def test_attributes(each):
    matching = np.dtype("uint16" if each is dtypes.bfloat16 else each.name)  # numpy has no bfloat16
    assert repr(each) == str(each) == f"webtorch.{each.name}"
    assert each.memory == matching and each.itemsize == matching.itemsize
    matching = each.numpy
    assert each.is_floating_point == (matching.kind == "f")
    assert each.is_signed == (matching.kind in "ifc")
    assert each.is_complex == (matching.kind == "c")
    assert each.is_differentiable == (matching.kind in "fc")
    assert each.kind == {"b": "bool", "u": "uint", "i": "int", "f": "float", "c": "complex"}[matching.kind]
    assert copy.deepcopy(each) is each and pickle.loads(pickle.dumps(each)) is each


def test_attributes_are_pytorchs():
    torch = pytest.importorskip("torch")
    for each in dtypes.ALL:
        theirs = getattr(torch, each.name)
        for attribute in ("itemsize", "is_floating_point", "is_signed", "is_complex"):
            assert getattr(each, attribute) == getattr(theirs, attribute), (each, attribute)
        assert dtypes.as_dtype(theirs) is each


def test_limits_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("float16", "bfloat16", "float32", "float64", "complex64", "complex128"):
        ours, theirs = dtypes.finfo(dtypes.as_dtype(name)), torch.finfo(getattr(torch, name))
        for attribute in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
            assert getattr(ours, attribute) == getattr(theirs, attribute), (name, attribute)
        assert repr(ours) == repr(theirs)
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        ours, theirs = dtypes.iinfo(dtypes.as_dtype(name)), torch.iinfo(getattr(torch, name))
        for attribute in ("bits", "max", "min", "dtype"):
            assert getattr(ours, attribute) == getattr(theirs, attribute), (name, attribute)


def test_limits():
    assert (dtypes.finfo(dtypes.float32).eps, dtypes.finfo(dtypes.float32).resolution) == (2.0**-23, 1e-6)
    assert (dtypes.iinfo(dtypes.int16).min, dtypes.iinfo(dtypes.int16).max) == (-32768, 32767)
    with pytest.raises(DTypeError, match="iinfo"):
        dtypes.finfo(dtypes.int8)
    with pytest.raises(DTypeError, match="finfo"):
        dtypes.iinfo(dtypes.bool_)


@pytest.mark.parametrize("each", [each for each in dtypes.ALL if each is not dtypes.bfloat16], ids=str)
@pytest.mark.parametrize("order", ["<", ">", "="])
def test_numpy_types_in_any_byte_order(each, order):
    assert dtypes.from_numpy_dtype(each.numpy.newbyteorder(order)) is each


@pytest.mark.parametrize("name", ["uint16", "uint32", "uint64", "clongdouble", "U3", "M8[s]", "object", "V4"])
def test_numpy_types_without_counterpart(name):
    with pytest.raises(DTypeError, match="webtorch has no type"):
        dtypes.from_numpy_dtype(np.dtype(name))


def test_as_dtype():
    for each in dtypes.ALL:
        own = (each.numpy, each.numpy.type) if each is not dtypes.bfloat16 else ()
        for spelling in (each, each.name, f"torch.{each.name}", f"webtorch.{each.name}", *own):
            assert dtypes.as_dtype(spelling) is each
    assert [dtypes.as_dtype(each) for each in (bool, int, float, complex)] == [
        dtypes.bool_, dtypes.int64, dtypes.float64, dtypes.complex128,
    ]  # fmt: skip
    assert dtypes.as_dtype("half") is dtypes.half is dtypes.float16
    assert [dtypes.float, dtypes.double, dtypes.short, dtypes.int, dtypes.long, dtypes.cfloat, dtypes.cdouble] == [
        dtypes.float32, dtypes.float64, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.complex64, dtypes.complex128,
    ]  # fmt: skip
    with pytest.raises(DTypeError, match="Did you mean 'float32'"):
        dtypes.as_dtype("flaot32")
    for nonsense in (3, None, [], bytes, object):
        with pytest.raises(DTypeError, match="expected a dtype"):
            dtypes.as_dtype(nonsense)


def test_scalar_dtype():
    values = {"bool": (True, np.True_), "int64": (3, np.int8(3)), "float32": (3.0, np.float64(3), np.float32(3))}
    values["complex64"] = (3j, np.complex128(3))
    for name, several in values.items():
        for value in several:
            assert dtypes.scalar_dtype(value).name == name
    for value in (b"3", "3", None, [3]):
        with pytest.raises(DTypeError):
            dtypes.scalar_dtype(value)


def test_no_new_dtypes():
    with pytest.raises(TypeError, match="cannot be made"):
        dtypes.dtype()
    with pytest.raises(DTypeError, match="must be webtorch dtypes"):
        dtypes.promote_types(dtypes.float32, np.dtype("float32"))
    with pytest.raises(DTypeError, match="must be webtorch dtypes"):
        dtypes.promote_types("float32", dtypes.float32)


def test_promotion_is_a_lattice():
    """Promotion is commutative, and a type with itself is itself. (It is not associative: uint8, int8, float16 is.)"""
    for a, b in itertools.product(dtypes.ALL, repeat=2):
        assert dtypes.promote_types(a, b) is dtypes.promote_types(b, a)
        assert dtypes.promote_types(a, a) is a
        joined = dtypes.promote_types(a, b)
        assert dtypes.promote_types(joined, a) is joined


if __name__ == "__main__":
    import torch

    for name, collect in RECORDED.items():
        with open(GOLDENS / name, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(collect(torch))
