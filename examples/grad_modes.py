"""Gradient modes as functions: whether autograd records what a function does is an argument of the call that runs it.

There is no scope that can be left open and no state to put back, whatever way the function ends. The `with` blocks and
decorators that PyTorch has are there too.
"""

import webtorch

x = webtorch.tensor([1.0, 2.0, 3.0], requires_grad=True)


def square():
    return x * x


print("square()                      ", square().requires_grad)
print("no_grad(square)               ", webtorch.no_grad(square).requires_grad)
print("grad_mode(False, square)      ", webtorch.grad_mode(False, square).requires_grad)
print("no_grad(enable_grad(square))  ", webtorch.no_grad(lambda: webtorch.enable_grad(square)).requires_grad)


def fails():
    raise ValueError("half-way")


try:
    webtorch.no_grad(fails)
except ValueError as error:
    print("after an error                ", webtorch.is_grad_enabled(), f"({error})")

with webtorch.no_grad():
    print("with no_grad():               ", square().requires_grad)


@webtorch.no_grad()
def predict(inputs):
    return inputs * 2


print("@no_grad()                    ", predict(x).requires_grad)

# What a mode changes: this is the gradient of the sum of x * x alone, because the rest was not recorded.
loss = square().sum() + webtorch.no_grad(lambda: (x * 100).sum())
loss.backward()
print("the gradient                  ", x.grad)
