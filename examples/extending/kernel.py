"""A kernel of your own for an op that exists: one device, one dtype, and a predicate that says when it is to run.

Short vectors are added by another kernel than the others; the derivative stays that of the op.
"""

import numpy as np

import webtorch


def is_short(inputs, attributes):
    """Predicates see shapes, dtypes and numbers, never values."""
    return all(len(value.shape) == 1 and value.shape[0] <= 4 for value in inputs)


runs = []


def on_cpu(x, y, out):
    runs.append(out.shape)
    np.add(x, y, out=out)


# On a GPU a kernel is a WGSL function: element i of the result from any elements of the inputs.
ON_GPU = """
fn total(i: u32) -> T {
  var sum = load_x(i) + load_y(i);
  return sum;
}
"""

with (
    webtorch.register_forward("add", on_cpu, dtype="float32", device="cpu", predicate=is_short),
    webtorch.register_forward("add", ON_GPU, dtype="float32", device="webgpu", predicate=is_short),
):
    short = webtorch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    long = webtorch.arange(8.0)
    (short + short).sum().backward()
    print("short + short", (short + short).tolist(), "its gradient", short.grad.tolist())
    print("long + long  ", (long + long).tolist())
    print("kernels      ", [(entry.op, entry.dtype, entry.device) for entry in webtorch.list_kernels()])
    found = [
        webtorch.findKernelWithPredicate("add", "float32", "cpu", (x, x)) is not None for x in (short.detach(), long)
    ]
    print("taken        ", found)
print("afterwards   ", webtorch.list_kernels())
