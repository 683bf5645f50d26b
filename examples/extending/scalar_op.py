"""An elementwise op of your own, from a numpy function, a WGSL expression and a derivative: it fuses like any other.

`softstep(x, slope=...)` rises from 0 to 1. On a GPU the whole line below it is one kernel.
"""

import numpy as np

import webtorch
from webtorch import debug


def backward(ctx, g):
    (out,) = ctx.saved_tensors
    return g * ctx.attributes["slope"] * out * (1 - out)


softstep = webtorch.registerUnaryOp(
    "softstep",
    lambda x, slope: 1 / (1 + np.exp(-slope * x)),  # for the cpu: numpy arrays
    "1.0 / (1.0 + wt_exp(-{slope} * {x}))",  # for a GPU: one expression per element
    dtypes="float32",
    scalars={"slope": 4.0},
    backward=backward,  # written with webtorch's functions: it runs everywhere, and can be differentiated again
    save_for_backward="output",
)

device = "cpu" if webtorch.is_cpu_only_mode() else "webgpu"
x = webtorch.tensor([-1.0, 0.0, 0.25], device=device, requires_grad=True)
webtorch.sync_device(device)
with debug.kernels() as kernels:
    values = webtorch.no_grad(lambda: 2 * x.softstep(slope=2.0) + x).tolist()
print("2 * softstep(x, slope=2) + x ", [round(value, 4) for value in values])
print("kernels                      ", len(kernels) if device == "webgpu" else "none: numpy")

(slope,) = webtorch.autograd.grad(webtorch.softstep(x).sum(), x, create_graph=True)
(curvature,) = webtorch.autograd.grad(slope.sum(), x)
print("derivative                   ", [round(value, 4) for value in slope.tolist()])
print("second derivative            ", [round(value, 4) for value in curvature.tolist()])
print("registered                   ", webtorch.list_ops(custom=True), webtorch.get_op_info("softstep")["dtypes"])

softstep.remove()
print("after remove()               ", webtorch.list_ops(custom=True), hasattr(webtorch, "softstep"))
