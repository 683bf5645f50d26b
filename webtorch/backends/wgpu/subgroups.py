"""Whether the lanes of a workgroup can pass values to each other as kernels expect: tried out, not taken from a name."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

PROBE = """
@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(8)
fn main(@builtin(subgroup_invocation_id) lane: u32, @builtin(local_invocation_index) place: u32) {
  let mine = lane * lane + params.x;
  var seen = 0u;
  seen = seen * 3u + subgroupBroadcast(mine, 0u);
  seen = seen * 3u + subgroupBroadcast(mine, 1u);
  seen = seen * 3u + subgroupBroadcast(mine, 2u);
  seen = seen * 3u + subgroupBroadcast(mine, 3u);
  seen = seen * 3u + subgroupBroadcast(mine, 4u);
  seen = seen * 3u + subgroupBroadcast(mine, 5u);
  seen = seen * 3u + subgroupBroadcast(mine, 6u);
  seen = seen * 3u + subgroupBroadcast(mine, 7u);
  for (var other = 0u; other < params.y; other += 1u) {
    seen = seen * 3u + subgroupShuffle(mine, other);
  }
  seen += subgroupShuffleXor(mine, 1u) + 64u * subgroupShuffleXor(mine, 2u) + 4096u * subgroupShuffleXor(mine, 4u);
  output[place] = seen + (lane << 28u);
}
"""


def of_eight(device: Any) -> bool:
    """True when a workgroup of eight invocations is (part of) one subgroup whose lanes have their numbers, and any of them
    can broadcast to the others, and exchange values with another. Asked of each device once.

    >>> from webtorch.backends.wgpu import get_device
    >>> of_eight(get_device()) in (True, False)
    True
    """
    known = getattr(device, "_subgroups_of_eight", None)
    if known is None:
        known = device._subgroups_of_eight = "subgroup" in device.features and tried(device)
    return known


def tried(device: Any) -> bool:
    from webtorch.errors import ShaderCompileError

    try:
        pipeline = device.pipeline(PROBE, "subgroups", 0, 1, 16)
    except ShaderCompileError:
        return False
    output = device.allocate(32)
    device.dispatch(pipeline, [(output, 0, 32)], struct.pack("<4I", 5, 8, 0, 0), 1)
    lanes = np.arange(8)
    mine = lanes * lanes + 5
    seen = 0
    for value in (*mine, *mine):
        seen = seen * 3 + int(value)
    expected = seen + mine[lanes ^ 1] + 64 * mine[lanes ^ 2] + 4096 * mine[lanes ^ 4] + (lanes << 28)
    return np.array_equal(device.read(output, 32).view(np.uint32), (expected & 0xFFFFFFFF).astype(np.uint32))
