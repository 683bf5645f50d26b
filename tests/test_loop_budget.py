"""The loop budget: one software driver stops all loops of an invocation after 65,535 rounds, without a word. No kernel may
come near, however long the sums."""

import re

import numpy as np
import pytest

import webtorch
from webtorch import debug, kernels, prelude
from webtorch.backends.wgpu import get_device

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")]
LONG = 10_000_000


@pytest.fixture
def trips(monkeypatch):
    """The bounds of all kernels that are made, each checked against the budget."""
    seen = []
    trace = kernels.trace

    def watch(group, limits):
        kernel = trace(group, limits)
        seen.append((kernel.shader, kernel.trips))
        return kernel

    monkeypatch.setattr(kernels, "trace", watch)
    yield seen
    assert seen and max(count for _, count in seen) <= get_device().limits.loop_budget


def ones(*shape, dtype=webtorch.float32):
    return webtorch.ones(1, dtype=dtype, device="webgpu").expand(*shape)


def test_long_sums(trips):
    x = webtorch.arange(LONG, device="webgpu", dtype=webtorch.int32) % 7
    assert x.sum(dtype=webtorch.int32).item() == sum(range(7)) * (LONG // 7) + sum(range(LONG % 7))
    assert (x == 3).sum(dtype=webtorch.int32).item() == (LONG - 4) // 7 + 1
    assert x.float().amax().item() == 6 and abs(x.float().mean().item() - 3) < 1e-5
    rows = (webtorch.arange(200_003, device="webgpu", dtype=webtorch.int32) % 5).expand(3, 200_003)
    assert rows.sum(1, dtype=webtorch.int32).tolist() == [200_003 // 5 * 10 + 0 + 1 + 2] * 3


def test_long_running_sums(trips):
    x = ones(LONG, dtype=webtorch.int32)
    total = x.cumsum(0, dtype=webtorch.int32)
    places = np.array([0, 511, 512, 65_534, 65_535, 65_536, 262_144, LONG - 2, LONG - 1])
    assert total[webtorch.tensor(places, device="webgpu")].tolist() == (places + 1).tolist()


def test_long_products_of_matrices(trips):
    a = ones(2, LONG)
    b = (webtorch.arange(LONG, device="webgpu", dtype=webtorch.int32) % 2).float().reshape(LONG, 1)
    got = (a @ b).tolist()
    assert got == [[LONG / 2], [LONG / 2]]  # exact: every partial sum is a whole number below 2^24


@pytest.mark.parametrize("extent", [32_767, 32_768, 32_769, 65_535, 65_536])
def test_products_at_the_edges_of_the_budget(trips, extent):
    a = (
        (webtorch.arange(extent, device="webgpu", dtype=webtorch.int32) % 3)
        .float()
        .reshape(1, extent)
        .expand(5, extent)
    )
    b = ones(extent, 6)
    wanted = float(sum(number % 3 for number in range(extent)))
    assert (a @ b).numpy().tolist() == [[wanted] * 6] * 5


def test_long_convolutions(trips):
    """Windows of ten million elements, and gradients of weights that are summed over as many positions."""
    x, w = ones(1, 1, LONG + 2), ones(1, 1, LONG)
    assert webtorch.nn.functional.conv1d(x, w).flatten().tolist() == [LONG] * 3
    w = webtorch.ones(1, 1, 3, device="webgpu", requires_grad=True)
    webtorch.nn.functional.conv1d(x, w).sum().backward()
    assert w.grad.flatten().tolist() == [float(LONG)] * 3


def test_long_rows(trips):
    x = ones(2, 300_000)
    np.testing.assert_allclose(x.softmax(1)[:, ::100_000].numpy(), np.full((2, 3), 1 / 300_000), rtol=1e-5)
    assert x.amax(1).tolist() == [1, 1] and x.argmax(1).tolist() == [0, 0]


def test_pools_with_large_windows(trips):
    x = ones(1, 1, 400, 400)
    assert webtorch.nn.functional.avg_pool2d(x, 400).item() == 1
    assert webtorch.nn.functional.max_pool2d(x, 300, stride=50).shape == (1, 1, 3, 3)


def test_functions_with_loops_stay_out_of_other_loops():
    """A remainder of floats far apart goes round a loop 35 times, a greatest common divisor 45 times: in a sum over
    thousands of elements that would be over the budget."""
    with debug.kernels() as ran:
        x, y = ones(4100, 2000) * 3e38, ones(2000) * 1.5e-37
        got = (webtorch.fmod(x, y) * 2.0**120).sum(1)[:3].tolist()
        wanted = float(np.fmod(np.float32(3e38), np.float32(1.5e-37)).astype(np.float64)) * 2.0**120 * 2000
        np.testing.assert_allclose(got, [wanted] * 3, rtol=1e-5)
        fibonacci = ones(4100, 2000, dtype=webtorch.int32) * 1836311903
        divisors = webtorch.gcd(fibonacci, webtorch.tensor(1134903170, dtype=webtorch.int32, device="webgpu"))
        assert divisors.sum(1, dtype=webtorch.int32)[:3].tolist() == [2000] * 3
        huge = divisors[0, 0] * 1134903170
        after = webtorch.gcd(ones(3, 2000, dtype=webtorch.int32).cumsum(1, dtype=webtorch.int32) * 0 + 1836311903, huge)
        assert after.sum(1, dtype=webtorch.int32).tolist() == [2000] * 3
    for kernel in ran:
        inside = {"wt_rest_f32", "wt_gcd_i32"} & set(re.findall(r"wt_\w+", kernel.wgsl))
        assert kernel.shader == "elementwise" or not inside, (kernel.name, inside)


def test_what_goes_round_a_loop_is_known():
    for name in ("fmod", "remainder", "gcd", "lcm", "floor_divide"):
        assert prelude.loops(f"wt_{name}({{x}}, {{y}})", "i32" if name in ("gcd", "lcm") else "f32"), name
    for name in ("exp", "floor", "pow", "divide", "sin"):
        assert not prelude.loops(f"wt_{name}({{x}}, {{y}})", "f32"), name
    assert prelude.loops("wt_pow({x}, {y})", "i32")


def test_a_kernel_over_the_budget_is_refused():
    """The bound is looked at whenever a kernel is made."""
    with get_device().override_limits(loop_budget=50), pytest.raises(AssertionError, match="over the budget"):
        ones(4, 100).contiguous().softmax(1).numpy()
