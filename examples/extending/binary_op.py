"""A binary op of your own, given in one dict as torch.js has it: it broadcasts, promotes and differentiates."""

import numpy as np

import webtorch


def backward(ctx, g):
    x, y = ctx.saved_tensors
    side = webtorch.sign(x - y)
    return g * side, g * -side


with webtorch.registerBinaryOp(
    {
        "op": "gap",
        "cpu": lambda x, y: np.abs(x - y),
        "shader": "abs({x} - {y})",
        "dtypes": ("float32", "int32"),
        "backward": backward,
    }
):
    device = webtorch.get_default_device()
    x = webtorch.tensor([1.0, 5.0], device=device, requires_grad=True)
    y = webtorch.tensor([[2.0], [7.0]], device=device, requires_grad=True)
    print("gap     ", webtorch.gap(x, y).tolist())
    print("of ints ", webtorch.tensor([1, 9], dtype=webtorch.int32).gap(4).tolist())
    webtorch.gap(x, y).sum().backward()
    print("by x    ", x.grad.tolist())
    print("by y    ", y.grad.tolist())
    try:
        webtorch.gap(x.detach().to(webtorch.float16), 1)
    except webtorch.RegistryError as error:
        print("float16 ", error.code)
