"""Adding two tensors: the same row of the op table by its three names, with broadcasting.

Runs on the GPU if there is one, else on numpy; WEBTORCH_DEVICE=cpu or WEBTORCH_DEVICE=webgpu in the environment decides.
"""

import webtorch

device, reason = webtorch.default_device_reason()
print(f"on {device}: {reason}")

x = webtorch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
y = webtorch.tensor([10.0, 20.0, 30.0])

print(webtorch.add(x, y))  # a function
print(x.add(y))  # a method
print(x + y)  # an operator

# What comes out of a GPU goes into numpy, and into all that takes numpy arrays.
print((x + y).numpy().sum())
