"""``python -m webtorch doctor``: what webtorch finds on this machine, which device it would use and why, and whether
a kernel computes the right thing there."""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import time
import warnings

import numpy as np

from webtorch.backends.wgpu.device import WANTED_FEATURES, choose_adapter, driver_hint, find_adapters, get_device
from webtorch.devices import default_device_reason
from webtorch.errors import DeviceError
from webtorch.version import __version__

KERNEL = """
struct Parameters { count: u32, factor: f32, offset: f32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.x + group.y * groups.x + group.z * groups.x * groups.y) * 64u + lane;
    if (i < parameters.count) {
        y[i] = x[i] * parameters.factor + parameters.offset;
    }
}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options; it has none."""


def run(options: argparse.Namespace | None = None) -> int:
    """Print the report; 0 when the GPU can be used, 1 when not.

    >>> isinstance(run, type(configure))
    True
    """
    text, usable = report()
    print(text)
    return 0 if usable else 1


def report() -> tuple[str, bool]:
    """The report, and whether the GPU can be used."""
    lines = [*_versions(), ""]
    lines += _default()
    adapters, problem = find_adapters(opengl=True)
    lines += ["", "Adapters" if adapters else f"No adapter: {problem}"]
    for number, adapter in enumerate(adapters, start=1):
        kind = "software" if adapter.is_software else "hardware"
        lines.append(f"  {number}. {adapter.name}")
        lines.append(f"     {adapter.backend}, {adapter.kind} ({kind}), driver: {adapter.driver or 'not named'}")
    if not adapters:
        lines.append(f"  {driver_hint()}")
        return "\n".join(lines), False
    try:
        chosen, reason = choose_adapter()
        lines.append(f'device("webgpu") uses {chosen.name} through {chosen.backend}: {reason}')
        if chosen.is_software:
            lines.append(f"  A software renderer works but is slow. {driver_hint()}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what they say stands above
            device = get_device()
    except DeviceError as error:
        return "\n".join([*lines, f"Not usable: {error}"]), False
    lines += ["", "Limits"]
    lines += [f"  {name.replace('_', ' ')}: {value:,}" for name, value in dataclasses.asdict(device.limits).items()]
    lines += ["", "Features"]
    lines += [f"  {'yes' if name in device.features else 'no ':3} {name}" for name in WANTED_FEATURES]
    calls = "native" if device.uses_raw_calls else f"through wgpu-py ({device.raw_problem})"
    lines += ["", f"Calls per dispatch: {calls}"]
    try:
        right, milliseconds, count = check_kernel()
    except Exception as error:
        return "\n".join([*lines, f"Kernel: failed: {error}"]), False
    verdict = "right" if right else "WRONG"
    lines.append(
        f"Kernel: {verdict} ({count:,} float32 values in {milliseconds:.2f} ms, upload and reading not counted)"
    )
    lines.append("webtorch can use this GPU." if right else "Do not use this adapter: update its driver.")
    return "\n".join(lines), right


def check_kernel(count: int = 1_000_003) -> tuple[bool, float, int]:
    """Run one kernel on the GPU: whether it was right, its best time in milliseconds, and the number of values."""
    device = get_device()
    x = (np.arange(count) % 1000).astype(np.float32)
    parameters = np.zeros(1, [("count", np.uint32), ("factor", np.float32), ("offset", np.float32), ("pad", np.uint32)])
    parameters["count"], parameters["factor"], parameters["offset"] = count, 2, 1
    pipeline = device.pipeline(KERNEL, "doctor", 1, 1, 16)
    source, target = device.upload(x), device.allocate(4 * count)
    bindings = [(source, 0, 4 * count), (target, 0, 4 * count)]
    best = float("inf")
    for _ in range(3):
        device.sync()
        start = time.perf_counter()
        device.dispatch(pipeline, bindings, parameters.tobytes(), -(-count // 64))
        device.sync()
        best = min(best, time.perf_counter() - start)
    result = device.read(target, 4 * count).view(np.float32)
    return bool(np.array_equal(result, x * 2 + 1)), best * 1000, count


def _versions() -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"webtorch {__version__}"]
    for package in ("wgpu", "numpy"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} (not installed)")
    lines.append(f"Python {platform.python_version()} on {platform.platform()} ({sys.platform})")
    return lines


def _default() -> list[str]:
    try:
        chosen, reason = default_device_reason()
    except DeviceError as error:
        return [f"Default device: none: {error}"]
    return [f"Default device: {chosen}", f"  because: {reason}"]
