"""A dtype of your own: quaternions, four float32 each, with their product. They turn vectors in space.

The product is written in webtorch: it runs on every device, its arithmetic fuses, and gradients flow through it.
"""

import math

import webtorch


def product(p, q):
    """Of tensors of components, along the last dimension."""
    a, b, c, d = p.unbind(-1)
    w, x, y, z = q.unbind(-1)
    return webtorch.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        dim=-1,
    )


def display(w, x, y, z):
    return f"{w:.3g}{x:+.3g}i{y:+.3g}j{z:+.3g}k"


quaternion = webtorch.register_dtype(
    "quaternion_f32", 4, "float32", zero=(0, 0, 0, 0), component_names=("w", "x", "y", "z"), promotes_from=("float32",),
    display=display,
)  # fmt: skip
webtorch.register_forward("mul", product, dtype="quaternion_f32", device="*")
webtorch.register_forward("add", lambda p, q: p + q, dtype="quaternion_f32", device="*")

device = webtorch.get_default_device()
i = webtorch.tensor([0.0, 1.0, 0.0, 0.0], dtype="quaternion_f32", device=device)
j = webtorch.tensor([0.0, 0.0, 1.0, 0.0], dtype="quaternion_f32", device=device)
print("i * j =", i * j)
print("j * i =", j * i)
print("2 * i + 1 =", 2 * i + 1)

# Which angle turns the x axis into the y axis? Gradient descent finds a quarter of a turn.
angle = webtorch.tensor(0.3, requires_grad=True, device=device)
for _ in range(30):
    parts = [(angle / 2).cos(), angle * 0, angle * 0, (angle / 2).sin()]
    turn = quaternion.dtype.from_components(webtorch.stack(parts))
    back = quaternion.dtype.from_components(webtorch.stack([parts[0], parts[1], parts[2], -parts[3]]))
    turned = turn * i * back
    loss = ((turned.components() - j.components()) ** 2).sum()
    loss.backward()
    with webtorch.no_grad():
        angle -= 0.2 * angle.grad
    angle.grad = None
print("angle", round(math.degrees(angle.item()), 2), "degrees")
print("turned", [round(value, 3) + 0.0 for value in turned.tolist()])
try:
    webtorch.sin(i)
except webtorch.RegistryError as error:
    print("sin(i):", error.code)
