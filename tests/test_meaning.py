"""That reductions, products of matrices, softmax, views, joins and creation mean what PyTorch means.

What PyTorch gave is recorded in goldens/meaning.npz, so it is compared with wherever the tests run; where torch is
installed the recording itself is checked. Elementwise rows are compared in test_elementwise_meaning.
"""

import builtins
import functools
import pathlib
import re
import warnings

import numpy as np
import pytest
from meaning_cases import cases, evaluate, pytorch
from sampling import agree, need

import webtorch
from webtorch import creation
from webtorch import functional as compounds
from webtorch.ops import TABLE
from webtorch.ops.elementwise import Elementwise

FILE = pathlib.Path(__file__).parent / "goldens" / "meaning.npz"


@functools.cache
def goldens() -> dict[str, tuple[str, list[np.ndarray]]]:
    """Each call with the name of PyTorch's error ("" without one) and its results."""
    with np.load(FILE) as file:
        arrays = dict(file)
    return {
        str(name): (
            str(arrays["errors"][number]),
            [arrays[f"{number}.{part}"] for part in range(arrays["counts"][number])],
        )
        for number, name in enumerate(arrays["names"])
    }


# Where webtorch does otherwise, on purpose.
MORE_GENERAL = {
    **{case: "bools are compared as 0 and 1" for case in cases() if re.fullmatch(r"(b\.arg(max|min)\(.*\)|t\.arg(max|min)\(b\))", case)},
    "t.mm(x, m, out=t.empty(3, 5, dtype=t.float64))": "out= takes any dtype that the result can be cast to, in products as elsewhere",
}  # fmt: skip
OTHER_ERROR = {
    "t.tensor(2**70)": "a number that fits no dtype is a DTypeError",
    "t.tensor(None)": "what is no number at all is a TypeError",
}


@pytest.mark.parametrize("case", cases())
def test_meaning(case, device):
    wanted_error, wanted = goldens()[case]

    def made(array):
        need(array.dtype.name, device)
        return webtorch.tensor(array, device=device)

    with webtorch.device(device):
        error, got = evaluate(case, webtorch, webtorch, made)
    if isinstance(error, webtorch.DTypeError) and "shader-f64" in str(error):
        need("float64", device)
    if case in MORE_GENERAL:
        assert error is None and wanted_error
        return
    if case in OTHER_ERROR:
        assert error is not None
        return
    if wanted_error:
        assert isinstance(error, getattr(builtins, wanted_error)), f"{case}: {error!r}, PyTorch: {wanted_error}"
        return
    assert error is None, f"{case}: {error!r}"
    assert len(got) == len(wanted), case
    for ours, theirs in zip(got, wanted, strict=True):
        finite = theirs[np.isfinite(theirs)] if theirs.dtype.kind == "f" else theirs
        agree(ours, theirs, case, scale=float(np.max(np.abs(finite.astype(np.float64)), initial=1.0)))


def test_recording_is_complete():
    assert list(goldens()) == cases()


def test_recording_is_what_pytorch_gives():
    """The goldens are PyTorch's answers: where it is installed, it gives them again."""
    pytest.importorskip("torch")
    torch = pytorch()
    failures = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case, (wanted_error, wanted) in goldens().items():
            error, got = evaluate(case, torch.module, torch.functional, torch.make)
            try:
                assert bool(error) == bool(wanted_error) and len(got) == len(wanted), f"{case}: {error!r}"
                for ours, theirs in zip(got, wanted, strict=True):
                    agree(
                        ours, theirs, case, scale=float(np.max(np.abs(theirs), initial=1.0, where=np.isfinite(theirs)))
                    )
            except AssertionError as failure:
                failures.append(str(failure))
    assert not failures, "\n".join(failures)


# Compounds whose meaning is random, or a matter of memory and devices; they are tested with those.
ELSEWHERE = {"dropout", "rrelu", "cpu", "webgpu", "detach_", "from_numpy"}


def test_everything_is_tried():
    """Every compound, factory, and row that is not elementwise occurs in a call."""
    text = "\n".join(cases())
    called = set(re.findall(r"\b(\w+)\(", text))
    rows = {key for key, row in TABLE.items() if row.public and not isinstance(row, Elementwise)}
    # Other modules add methods, too; they are tested with those modules.
    methods = {
        name for name in compounds.METHODS if getattr(webtorch.Tensor, name).__module__.startswith(compounds.__name__)
    }
    wanted = {*compounds.__all__, *methods, *creation.__all__, *rows} - ELSEWHERE
    assert not wanted - called, sorted(wanted - called)
