"""Limits as parameters: WEBTORCH_LIMITS has a process believe in a smaller adapter than it has."""

import dataclasses
import os
import subprocess
import sys

import pytest

from webtorch.backends.wgpu.device import LOW_LIMITS, Limits, lowered
from webtorch.errors import DeviceError

REAL = Limits(
    max_binding_size=1 << 27, max_storage_buffers=8, max_workgroup_invocations=256, max_workgroup_storage=16384,
    max_workgroups_per_dimension=65535, max_buffer_size=1 << 28, storage_offset_alignment=256, uniform_offset_alignment=256,
)  # fmt: skip


def test_what_the_variable_says():
    assert lowered(REAL, "") is REAL
    assert lowered(REAL, "low") == dataclasses.replace(REAL, **LOW_LIMITS)
    assert lowered(REAL, "max_storage_buffers=5,loop_budget=100") == dataclasses.replace(
        REAL, max_storage_buffers=5, loop_budget=100
    )
    small = dataclasses.replace(REAL, max_storage_buffers=3)
    assert lowered(small, "low").max_storage_buffers == 3


@pytest.mark.parametrize(
    "wrong", ["lower", "max_storage_buffers", "max_storage_buffers=9", "buffers=2", "loop_budget=0"]
)
def test_what_it_must_not_say(wrong):
    with pytest.raises(DeviceError, match="WEBTORCH_LIMITS"):
        lowered(REAL, wrong)


@pytest.mark.gpu
def test_a_process_under_low_limits_computes_the_same():
    program = """
import numpy as np, webtorch
from webtorch.backends.wgpu import get_device
from webtorch.backends.wgpu.device import LOW_LIMITS
limits = get_device().limits
assert all(getattr(limits, name) == value for name, value in LOW_LIMITS.items()), limits
rng = np.random.default_rng(0)
x, y = (rng.standard_normal((20, 700)).astype(np.float32) for _ in range(2))
a, b = webtorch.tensor(x, device="webgpu"), webtorch.tensor(y, device="webgpu")
np.testing.assert_allclose((a @ b.t()).relu().sum(1).numpy(), np.maximum(x @ y.T, 0).sum(1), rtol=1e-4)
np.testing.assert_allclose(((a + 1) * 2).softmax(1).sum(1).numpy(), np.ones(20), rtol=1e-5)
np.testing.assert_array_equal(a.half().float().numpy(), x.astype(np.float16).astype(np.float32))
print("same")
"""
    environment = {**os.environ, "WEBTORCH_LIMITS": "low", "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment
    )
    assert (result.returncode, result.stdout) == (0, "same\n"), result.stderr[-3000:]
