"""Fitting a line by gradient descent: a loss, its gradient, a step, two hundred times; nothing but tensors.

The points are made from y = 3 x - 2 and some noise, so the answer is known.
"""

import webtorch

webtorch.manual_seed(0)
x = webtorch.linspace(-1, 1, 100)
y = 3 * x - 2 + 0.1 * webtorch.randn(100)

slope = webtorch.zeros((), requires_grad=True)
offset = webtorch.zeros((), requires_grad=True)


def step():
    """Move both parameters against their gradients. Run without gradients of its own: this is no part of the model."""
    for parameter in (slope, offset):
        parameter -= 0.1 * parameter.grad
        parameter.grad = None


for epoch in range(201):
    loss = webtorch.mean((slope * x + offset - y) ** 2)
    loss.backward()
    webtorch.no_grad(step)
    if epoch % 40 == 0:
        print(f"step {epoch:3}   loss {loss.item():.5f}   y = {slope.item():.3f} x {offset.item():+.3f}")

print(f"found y = {slope.item():.2f} x {offset.item():+.2f} on {x.device}; the points were made from y = 3.00 x -2.00")
