"""What a training loop costs on a lazy device: the same every step, whenever the loss is read."""

import numpy as np
import pytest

import webtorch
from webtorch import debug

pytestmark = pytest.mark.gpu


def loop(steps, read_after_update, device="webgpu"):
    """Adam by hand on a small network; the losses, and the kernels that each step ran."""
    generator = np.random.default_rng(0)
    x = webtorch.tensor(generator.random((16, 5), np.float32), device=device)
    y = webtorch.tensor(generator.random((16, 1), np.float32), device=device)
    weights = [
        webtorch.tensor(generator.random(shape, np.float32) - 0.5, device=device, requires_grad=True)
        for shape in ((5, 8), (8,), (8, 1), (1,))
    ]
    states = [(webtorch.zeros_like(weight), webtorch.zeros_like(weight)) for weight in weights]
    losses, ran = [], []
    for step in range(1, steps + 1):
        with debug.kernels() as kernels:
            loss = ((webtorch.relu(x @ weights[0] + weights[1]) @ weights[2] + weights[3] - y) ** 2).mean()
            loss.backward()
            if not read_after_update:
                losses.append(loss.item())
            with webtorch.no_grad():
                for weight, (m, v) in zip(weights, states):
                    m.mul_(0.9).add_(weight.grad * 0.1)
                    v.mul_(0.999).add_(weight.grad * weight.grad * 0.001)
                    weight.sub_(0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8))
                    weight.grad = None
            if read_after_update:
                losses.append(loss.item())
        ran.append(kernels)
    return losses, ran


@pytest.mark.parametrize("read_after_update", [True, False])
def test_every_step_runs_the_same_kernels(read_after_update):
    losses, ran = loop(12, read_after_update)
    counts = [len(kernels) for kernels in ran]
    assert len(set(counts[3:])) == 1 and counts[-1] < 40
    seen = {record.wgsl for kernels in ran[:4] for record in kernels}
    assert {record.wgsl for kernels in ran[4:] for record in kernels} <= seen  # nothing is compiled any more
    np.testing.assert_allclose(losses, loop(12, read_after_update, "cpu")[0], rtol=1e-4)
    assert losses[-1] < losses[0]
