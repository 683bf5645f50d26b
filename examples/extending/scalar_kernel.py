"""Another expression for an op that exists: a faster, rougher sigmoid, for float32 only. It fuses like the one it replaces."""

import webtorch

x = webtorch.tensor([-2.0, 0.0, 2.0])
exact = webtorch.sigmoid(x)
kernels = (
    webtorch.register_scalar_forward(
        "sigmoid", lambda x: 0.5 + 0.5 * x / (1 + abs(x)), dtype="float32", device="cpu", override=True
    ),
    webtorch.register_scalar_forward(
        "sigmoid", "0.5 + 0.5 * {x} / (1.0 + abs({x}))", dtype="float32", device="webgpu", override=True
    ),
)
rough = webtorch.sigmoid(x)
for kernel in kernels:
    kernel.remove()
print("exact", [round(value, 4) for value in exact.tolist()])
print("rough", [round(value, 4) for value in rough.tolist()])
print("again", [round(value, 4) for value in webtorch.sigmoid(x).tolist()])
