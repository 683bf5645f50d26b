"""The autotuner: it takes the fastest variant whose result is right, within its time, and keeps what it found."""

import json

import numpy as np
import pytest

import webtorch
from webtorch import tuning

gpu = pytest.mark.gpu


@pytest.fixture
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("WEBTORCH_CACHE", str(tmp_path))
    monkeypatch.setattr(tuning, "PATIENCE", 3)
    tuning.forget()
    yield tmp_path / "tuning.json"
    tuning.forget()


def trials(seconds, results=None, log=None, compiling=0.0):
    """Variants that take some time each, by a clock that only they move."""

    def run(variant):
        first = [compiling]

        def once():
            if log is not None:
                log.append(variant)
            tuning.time.now += seconds[variant] + (first.pop() if first else 0.0)

        return once, lambda: np.float32((results or {}).get(variant, 1.0)) * np.ones(3, np.float32)

    return run


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    monkeypatch.setattr(tuning, "time", Clock())


NAMES = {"a": 0.1, "b": 0.2, "c": 0.3}


@gpu
def test_the_fastest_is_taken_once_the_work_has_come_often(clean, clock):
    run = trials({"a": 0.3, "b": 0.1, "c": 0.2})
    assert [tuning.choice("op", "kind", NAMES, "a", run) for _ in range(4)] == [("a", False)] * 2 + [("b", True)] * 2
    kept = json.loads(clean.read_text())
    assert list(kept["adapters"].values()) == [{"op kind": "b"}]
    tuning.forget()  # as in a new process
    assert tuning.choice("op", "kind", NAMES, "a", run) == ("b", True)


@gpu
def test_a_variant_with_another_result_is_never_taken(clean, clock):
    run = trials({"a": 0.3, "b": 0.1, "c": 0.2}, {"b": 1.01})
    assert [tuning.choice("op", "kind", NAMES, "a", run)[0] for _ in range(3)][-1] == "c"
    run = trials({"a": 0.3, "b": 0.1, "c": 0.4}, {"b": float("nan")})
    assert [tuning.choice("op", "other", NAMES, "a", run)[0] for _ in range(3)][-1] == "a"


@gpu
def test_the_budget_is_kept(clean, clock, monkeypatch):
    monkeypatch.setenv("WEBTORCH_TUNE_SECONDS", "4")
    log = []
    run = trials({"a": 0.5, "b": 0.1, "c": 0.1}, log=log, compiling=1.0)
    assert [tuning.choice("op", "kind", NAMES, "a", run)[0] for _ in range(3)][-1] == "a"
    assert log == ["a"] * 3 and tuning._spent <= 4  # what is left would not do for b, as slow as this machine is
    monkeypatch.setenv("WEBTORCH_TUNE_SECONDS", "0")
    tuning.forget()
    assert [tuning.choice("op", "more", NAMES, "a", run) for _ in range(9)] == [("a", True)] * 9


@gpu
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 0}',
        '{"format": 1, "adapters": 3}',
        '{"format": 1, "adapters": {"old": {"op kind": "b"}}}',
    ],
)
def test_a_file_that_is_corrupt_old_or_of_another_driver_is_made_again(clean, clock, text):
    clean.write_text(text)
    run = trials({"a": 0.3, "b": 0.2, "c": 0.1})
    assert [tuning.choice("op", "kind", NAMES, "a", run)[0] for _ in range(3)] == ["a", "a", "c"]
    kept = json.loads(clean.read_text())["adapters"]
    assert {"op kind": "c"} in kept.values()


@gpu
@pytest.mark.parametrize("variant", ["1x1", "4x4", "8x4", "8x8", "tiled"])
@pytest.mark.parametrize("shape", [(1, 33, 50, 41), (2, 64, 32, 64), (1, 16, 7, 16), (1, 100, 130, 68)])
def test_every_variant_of_the_product_is_right(variant, shape):
    b, m, k, n = shape
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((b, m, k)).astype(np.float32), rng.standard_normal((b, k, n)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    t, u, v = (webtorch.tensor(value, device="webgpu") for value in (x, y, bias))
    exact = x.astype(np.float64) @ y
    with tuning.force("contract", variant), webtorch.debug.kernels() as ran:
        got = webtorch.relu(t @ u + v).numpy()
        crossed = t.transpose(1, 2).contiguous().transpose(1, 2) @ u.transpose(1, 2).contiguous().transpose(1, 2)
        crossed = crossed.numpy()
    assert ran[0].shader == {"tiled": "matmul_tiled", "1x1": "matmul_small"}.get(variant, "matmul")
    np.testing.assert_allclose(got, np.maximum(exact + bias, 0), atol=1e-5 * k**0.5 * 4)
    np.testing.assert_allclose(crossed, exact, atol=1e-5 * k**0.5 * 4)


@gpu
def test_a_real_trial_does_not_disturb_the_work_around_it(clean, monkeypatch):
    monkeypatch.setenv("WEBTORCH_TUNE_SECONDS", "600")
    x = np.random.default_rng(1).integers(-50, 50, (512, 512)).astype(np.int32)  # of float32 the choice may be settled
    t = webtorch.tensor(x, device="webgpu")
    exact = x @ x
    for _ in range(4):
        np.testing.assert_array_equal((t @ t * 2).numpy(), exact * 2)
    (choices,) = json.loads(clean.read_text())["adapters"].values()
    assert len(choices) == 1
