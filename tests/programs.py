"""Small programs written once and run on webtorch (on each device) and on PyTorch, with the answers written down.

A program is a generator of observations: tensors, numbers, words. `tests/goldens/<name>.json` holds what PyTorch
observed. webtorch must observe the same on every device; PyTorch, where it is installed, must still observe the same,
which keeps the goldens honest. `WEBTORCH_RECORD_GOLDENS=1 pytest tests/test_indexing.py` writes them anew.
"""

import json
import math
import os
import pathlib

import numpy as np
import pytest
from sampling import need

import webtorch

FOLDER = pathlib.Path(__file__).parent / "goldens"
RECORDING = os.environ.get("WEBTORCH_RECORD_GOLDENS", "0") not in ("", "0")


def plain(value):
    """An observation in the terms of JSON: tensors as [dtype, shape, elements], NaN and the infinities as words."""
    if isinstance(value, np.ndarray):
        elements = [plain(element) for element in value.reshape(-1).tolist()]
        return {"dtype": str(value.dtype), "shape": list(value.shape), "elements": elements}
    if hasattr(value, "detach"):
        return plain(value.detach().cpu().numpy())
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, float):
        return repr(value) if math.isnan(value) or math.isinf(value) else float(f"{value:.8g}")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"a program observed {type(value).__name__}; observe tensors, numbers and words")


def same(ours, wanted, tolerance=2e-5):
    """Whether two observations agree; floats to within rounding."""
    if isinstance(ours, dict):
        return isinstance(wanted, dict) and all(same(ours[key], wanted[key], tolerance) for key in ours)
    if isinstance(ours, list):
        return isinstance(wanted, list) and len(ours) == len(wanted) and all(map(same, ours, wanted))
    if isinstance(ours, float) or isinstance(wanted, float):
        if isinstance(ours, str) or isinstance(wanted, str) or ours is None or wanted is None:
            return ours == wanted
        return abs(ours - wanted) <= tolerance * max(1.0, abs(wanted))
    return type(ours) is type(wanted) and ours == wanted


def first_difference(ours, wanted, where):
    """The first parts of two observations that differ, and where they are."""
    if isinstance(ours, list) and isinstance(wanted, list) and len(ours) == len(wanted):
        for number, (one, other) in enumerate(zip(ours, wanted, strict=True)):
            if not same(one, other):
                return first_difference(one, other, f"{where}, part {number}")
    return where, ours, wanted


class Programs(dict):
    """The programs of one test module, by name, and their golden answers."""

    def __init__(self, name):
        super().__init__()
        self.path = FOLDER / f"{name}.json"
        self.answers = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, function):
        """Register a program: a decorator."""
        self[function.__name__] = function
        return function

    def names(self):
        """For parametrize: every program and every recorded answer, so that neither can go without the other."""
        return sorted(set(self) | (set() if RECORDING else set(self.answers)))

    def check(self, name, device):
        """Run a program on webtorch and compare with what was written down."""
        try:
            with webtorch.device(device):
                observed = [plain(value) for value in self[name](webtorch)]
        except webtorch.DTypeError as error:
            if "shader-f64" not in str(error):
                raise
            need("float64", device)
            raise
        self.compare(name, observed)

    def check_torch(self, name):
        """Run a program on PyTorch, and compare with what was written down, or write it down."""
        torch = pytest.importorskip("torch")
        observed = [plain(value) for value in self[name](torch)]
        if RECORDING:
            self.answers = {key: value for key, value in self.answers.items() if key in self} | {name: observed}
            lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(self.answers.items())]
            self.path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        self.compare(name, observed)

    def compare(self, name, observed):
        wanted = self.answers[name]
        assert len(observed) == len(wanted), f"{name} made {len(observed)} observations, {len(wanted)} are written down"
        for number, (ours, golden) in enumerate(zip(observed, wanted, strict=True)):
            if not same(ours, golden):
                where, ours, golden = first_difference(ours, golden, f"{name}, observation {number}")
                pytest.fail(f"{where}: {ours}, but PyTorch has {golden}", pytrace=False)


def error(kind, phrase, function):
    """Run `function`, which must raise `kind` with `phrase` in its message; returns the phrase, as an observation."""
    with pytest.raises(kind) as caught:
        function()
    assert phrase in str(caught.value), f"{phrase!r} is not in {str(caught.value)!r}"
    return phrase
