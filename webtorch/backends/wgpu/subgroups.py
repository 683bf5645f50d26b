"""Whether the lanes of a workgroup can pass values to each other as kernels expect: tried out, not taken from a name."""

from __future__ import annotations

from typing import Any

import numpy as np

PROBE = """
PARAMETERS params: vec4<u32>;
@group(0) @binding(1) var<storage, read> numbers: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(8)
fn main(@builtin(subgroup_invocation_id) lane: u32, @builtin(local_invocation_index) place: u32) {
  let mine = numbers[lane] * params.x + params.w;
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
    can broadcast to the others, and exchange values with another. Raises what running a kernel raises.

    >>> from webtorch.backends.wgpu import get_device
    >>> of_eight(get_device()) == get_device().subgroups_of_eight
    True
    """
    if "subgroup" not in device.features:
        return False
    pipeline = device.pipeline(PROBE.replace("PARAMETERS", device.parameters), "subgroups", 1, 1, 16)
    lanes = np.arange(8)
    numbers, output = device.upload((lanes * lanes + 3).astype(np.uint32)), device.allocate(32)
    parameters = np.array([7, 8, 0, 9], np.uint32).tobytes()
    device.dispatch(pipeline, [(numbers, 0, 32), (output, 0, 32)], parameters, 1)
    mine = (lanes * lanes + 3) * 7 + 9
    seen = 0
    for value in (*mine, *mine):
        seen = seen * 3 + int(value)
    expected = seen + mine[lanes ^ 1] + 64 * mine[lanes ^ 2] + 4096 * mine[lanes ^ 4] + (lanes << 28)
    return np.array_equal(device.read(output, 32).view(np.uint32), (expected & 0xFFFFFFFF).astype(np.uint32))
