"""What runs on the GPU: four ops become one kernel, and you can read it before and after it ran.

Nothing runs when an op is called. When a value is wanted, all that it needs is written into as few kernels as possible.
"""

import webtorch
from webtorch import debug

# A software adapter is not the default device, but it has kernels to show.
device = "cpu" if webtorch.is_cpu_only_mode() else "webgpu"
a, b, c = (webtorch.tensor([0.5, -1.0, 2.0, 3.0], device=device) * n for n in (1, 2, 3))
webtorch.sync_device(device)  # a, b and c are in memory now

result = webtorch.relu(a * b + c) * webtorch.sigmoid(a)

print("---- the graph: nothing has run")
print(debug.graph(result))
print("\n---- the kernel that would compute it")
print(debug.wgsl(result))
print("\n---- what runs when the value is read")
with debug.kernels() as kernels:
    print(result)
print(kernels)
print(
    f"{len(kernels)} kernel on {device}" if kernels else "on cpu numpy computes each op when it is called: no kernels"
)
