"""Fixtures for all tests: the two devices, and what happens where there is no GPU.

With WEBTORCH_REQUIRE_GPU=1 (the test session of the noxfile sets it) a GPU test that finds no adapter fails; without
it, it is skipped and says so.
"""

import functools
import os
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import settings

# Programs that `import torch`, which the runner resolves for them, and what writes goldens, which needs PyTorch: no tests.
collect_ignore_glob = ["programs_torch/*", "record_*.py"]

# The machine that runs the tests may be busy, and a failure there must be a failure here: no deadlines, fixed examples.
settings.register_profile("webtorch", deadline=None, derandomize=True)
settings.load_profile("webtorch")


@functools.cache
def why_no_gpu() -> str | None:
    """The reason why no WebGPU device can be made here, or None when one can."""
    try:
        from webtorch.backends.wgpu import get_device

        get_device()
    except Exception as error:  # whatever went wrong is the answer
        return f"{type(error).__name__}: {error}"
    return None


def need_gpu() -> None:
    """Leave the running test unless a WebGPU device can be made: a failure if one is required, else a skip."""
    reason = why_no_gpu()
    if reason is not None:
        no_gpu_here(reason)


def no_gpu_here(reason: str) -> NoReturn:
    """Leave the running test, which cannot do without a GPU: a failure if one is required, else a skip."""
    if os.environ.get("WEBTORCH_REQUIRE_GPU", "0") not in ("", "0"):
        pytest.fail(f"this test needs a WebGPU device and WEBTORCH_REQUIRE_GPU is set, but: {reason}", pytrace=False)
    pytest.skip(f"no WebGPU device: {reason}")


@pytest.fixture(scope="session")
def leave_for_want_of_gpu() -> Callable[[str], NoReturn]:
    """`no_gpu_here`, for tests that look for an adapter themselves."""
    return no_gpu_here


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None:
        need_gpu()


@pytest.fixture(params=["cpu", pytest.param("webgpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The name of a device: each test that asks for it runs once on each."""
    return request.param
