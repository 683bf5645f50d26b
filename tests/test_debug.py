"""webtorch.debug: it shows what would run and what ran, and looking changes nothing."""

import gc
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import webtorch
from webtorch import debug, engine

ROOT = pathlib.Path(__file__).resolve().parents[1]


def on_gpu(*shape):
    """A tensor of random numbers in the GPU's memory."""
    return webtorch.tensor(np.random.default_rng(0).random(shape, np.float32), device="webgpu")


@pytest.mark.gpu
def test_wgsl_of_a_chain_is_one_kernel_and_runs_nothing():
    a, b, c = (on_gpu(8, 8) for _ in range(3))
    expression = webtorch.relu(a * b + c) * webtorch.sigmoid(a)
    with debug.kernels() as ran:
        text = debug.wgsl(expression)
    assert len(ran) == 0 and expression._storage.node.buffer is None
    assert text.count("@compute") == 1 and "kernel 1 of 1" in text and "wt_sigmoid_f32" in text
    with debug.kernels() as ran:
        values = expression.numpy()
    assert len(ran) == 1 and ran[0].wgsl in text
    x, y, z = a.numpy(), b.numpy(), c.numpy()
    np.testing.assert_allclose(values, np.maximum(x * y + z, 0) / (1 + np.exp(-x)), rtol=1e-5)


@pytest.mark.gpu
def test_wgsl_of_several_kernels_is_what_then_runs():
    a, b = on_gpu(12, 20), on_gpu(20, 7)
    scores = webtorch.softmax(a @ b + 1, 1)
    text = debug.wgsl(scores)
    with debug.kernels() as ran:
        scores.numpy()
    assert text.count("// ---- kernel") == len(ran) == 2
    for record in ran:
        assert record.wgsl in text
    assert text.index(ran[0].wgsl) < text.index(ran[1].wgsl)


@pytest.mark.gpu
def test_wgsl_plans_tensors_together():
    a = on_gpu(16)
    assert debug.wgsl(a + 1, a * 2).count("@compute") == 1
    doubled = a * 2
    assert debug.wgsl(doubled, doubled.view(4, 4)).count("@compute") == 1


@pytest.mark.gpu
def test_wgsl_says_when_there_is_nothing_to_show():
    a = on_gpu(3)
    assert "already computed" in debug.wgsl(a) and "kernels()" in debug.wgsl(a)
    assert debug.wgsl(a, a + 1).count("@compute") == 1
    assert all(line.startswith("//") for line in debug.wgsl(a, webtorch.ones(2, device="cpu")).splitlines())


def test_wgsl_on_cpu_names_numpy():
    assert "float32[2, 3] on cpu: computed by numpy" in debug.wgsl(webtorch.zeros(2, 3, device="cpu"))


@pytest.mark.parametrize("show", [debug.wgsl, debug.graph])
def test_arguments_are_checked(show):
    with pytest.raises(TypeError, match=r"expected a Tensor, got list"):
        show([1.0])
    with pytest.raises(TypeError, match=r"at least one tensor"):
        show()


@pytest.mark.gpu
def test_graph_shows_ops_views_scalars_and_sharing():
    a = on_gpu(2, 3)
    b = a * 2.5
    text = debug.graph((b + b.t().reshape(2, 3)).exp())
    assert text.splitlines()[0] == "%0 = exp float32[2, 3] pending, webgpu:0"
    assert "  %1 = add float32[2, 3] pending" in text
    assert "    %2 = mul float32[2, 3] pending" in text
    assert "      %3 = data float32[2, 3] realised" in text
    assert "      2.5" in text
    assert "with strides [1, 3]" in text and ", above" in text
    assert b._storage.node.buffer is None


@pytest.mark.gpu
def test_graph_of_a_long_chain_ends():
    x = on_gpu(2)
    for _ in range(3000):
        x = x + 1
    lines = debug.graph(x, limit=50).splitlines()
    assert len(lines) == 51 and lines[-1].startswith("... and more") and max(map(len, lines)) < 200


@pytest.mark.gpu
def test_kernels_sees_only_its_block():
    a = on_gpu(5)
    (a + 1).numpy()
    with debug.kernels() as outer:
        (a + 2).numpy()
        with debug.kernels() as inner:
            (a + 3).numpy()
        pending = a + 4
    pending.numpy()
    assert (len(outer), len(inner)) == (2, 1)
    assert not engine.observers
    (record,) = inner
    assert record.shape == (5,) and record.outputs == [((5,), "float32")] and record.shader == "elementwise"
    assert record.time is None and record.bytes == 40 and "add" in record.name


@pytest.mark.gpu
def test_kernels_is_left_after_an_error():
    with pytest.raises(ZeroDivisionError), debug.kernels():
        raise ZeroDivisionError
    assert not engine.observers


@pytest.mark.gpu
def test_kernels_prints_as_a_table():
    with debug.kernels() as ran:
        on_gpu(4, 4).sum().item()
    lines = str(ran).splitlines()
    assert lines[0].split() == ["ops", "shader", "shape", "grid", "bytes"]
    assert len(lines) == 1 + len(ran) and "reduce" in lines[1]
    assert ran.wgsl.count("@compute") == len(ran)


def test_no_kernels_on_cpu():
    with debug.kernels() as ran:
        webtorch.ones(3, device="cpu").sum().item()
    assert len(ran) == 0 and str(ran) == "no kernel ran"


def test_memory_counts_storages_once(device):
    gc.collect()
    x = webtorch.zeros(123, 457, device=device)
    view = x.t()
    line = [line for line in debug.memory(limit=10**6).splitlines() if "[123, 457]" in line]
    assert len(line) == 1 and f"{4 * 123 * 457:,}" in line[0] and line[0].split()[-1] == "2"
    assert ("pending" if device == "webgpu" else "realised") in line[0]
    del x, view
    assert "[123, 457]" not in debug.memory(limit=10**6)


@pytest.mark.gpu
@pytest.mark.parametrize("level, shows", [(1, False), (2, True), (3, True)])
def test_debug_switch_prints_kernels(level, shows):
    """WEBTORCH_DEBUG: one line per kernel; its WGSL; the line of the program that asked."""
    program = "import webtorch\nx = webtorch.tensor([1.0, 2.0], device='webgpu')\nprint((x * 3 + 1).tolist())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
        env=os.environ | {"WEBTORCH_DEBUG": str(level)},
    )  # fmt: skip
    assert done.stdout.strip() == "[4.0, 7.0]"
    lines = [line for line in done.stderr.splitlines() if line.startswith("webtorch ")]
    assert len(lines) == 1 and "add" in lines[0] and "[2]" in lines[0] and "ms" in lines[0] and "bytes" in lines[0]
    assert ("@compute" in done.stderr) is shows
    assert ("from <string>:3" in done.stderr) is (level == 3)
