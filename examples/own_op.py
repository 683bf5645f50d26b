"""An op of your own is one row: what it means, how the GPU says it, its derivative. It is no less than those built in.

The bell curve exp(-x * x) becomes `bell(x)` and `x.bell()`, with broadcasting, dtypes, fusion and gradients.
"""

import numpy as np

import webtorch
from webtorch import debug
from webtorch.ops.elementwise import Elementwise, floating

bell = Elementwise(
    "bell",
    numpy=lambda x: np.exp(-x * x),  # what it means; runs on the cpu
    wgsl="wt_exp(-{x} * {x})",  # one expression; wt_exp is in shaders/prelude.wgsl
    dtype=floating,  # integers become floats
    vjp=(lambda g, out, x: g * -2 * x * out,),  # g is the gradient that comes in; written with webtorch's own ops
    doc="The bell curve exp(-x * x).",
)

device = "cpu" if webtorch.is_cpu_only_mode() else "webgpu"
x = webtorch.tensor([-1.0, 0.0, 0.5, 2.0], device=device, requires_grad=True)
webtorch.sync_device(device)

with debug.kernels() as kernels:
    values = webtorch.no_grad(lambda: 3 * x.bell() + 1).tolist()
print("3 * bell(x) + 1        ", [round(value, 4) for value in values])
print("kernels                ", len(kernels) if device == "webgpu" else "none: numpy")

(slope,) = webtorch.autograd.grad(bell(x).sum(), x, create_graph=True)
(curvature,) = webtorch.autograd.grad(slope.sum(), x)
print("first derivative       ", [round(value, 4) for value in slope.tolist()])
print("second derivative      ", [round(value, 4) for value in curvature.tolist()])
