"""A device of your own: here one that keeps its memory in numpy arrays and counts the ops that it is handed.

A real one would pass each op on to its hardware, and fall back on `work.compute` for what it has no kernel for.
"""

import collections

import numpy as np

import webtorch


class Buffer:
    alive = 0

    def __init__(self, size, usage):
        self.bytes = np.zeros(size, np.uint8)
        Buffer.alive += 1

    def destroy(self):
        Buffer.alive -= 1


class Abacus:
    name = "abacus"

    def initialize(self):
        self.calls = collections.Counter()
        return {"beads": 100}

    def create_buffer(self, size, usage):
        return Buffer(size, usage)

    def write_buffer(self, buffer, data, offset):
        buffer.bytes[offset : offset + len(data)] = data

    def read_buffer(self, buffer, size, offset):
        return buffer.bytes[offset : offset + size]

    def dispatch(self, work):
        self.calls[work.op] += 1
        work.compute(lambda buffer: buffer.bytes)

    def sync(self):
        pass


abacus = Abacus()
with webtorch.register_device(abacus):
    print("devices", [device.type for device in webtorch.list_devices() if device.type != "webgpu"])
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], device="abacus", requires_grad=True)
    y = (x @ x.T).relu().sum()
    y.backward()
    print(x.detach())
    print("value", y.item(), "gradient", x.grad.tolist())
    print("matrix products", abacus.calls["_contract"])
    print("context", webtorch.get_device_context("abacus"))
    print("back on the cpu", x.detach().to("cpu").tolist())
    del x, y
print("buffers that are left", Buffer.alive)
try:
    webtorch.ones(2, device="abacus")
except webtorch.DeviceError as error:
    print(error)
