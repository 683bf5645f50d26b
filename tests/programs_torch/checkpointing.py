"""Activations computed anew in the backward pass instead of kept, with the same gradients; a hook counts the calls."""

import torch
import torch.nn as nn
from seeded import fill, normal, report
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main():
    model = fill(nn.Sequential(*(layer for _ in range(3) for layer in (nn.Linear(8, 8), nn.Softplus())))).to(device)
    calls = []
    model[0].register_forward_hook(lambda module, inputs, output: calls.append(1))
    x = normal(1, 4, 8).to(device).requires_grad_()
    results = []
    for run in (
        lambda: model(x),
        lambda: checkpoint(model, x, use_reentrant=False),
        lambda: checkpoint_sequential(model, 2, x, use_reentrant=False),
    ):
        model.zero_grad()
        x.grad = None
        loss = run().square().mean()
        loss.backward()
        results += [loss.item(), x.grad.norm().item(), model[0].weight.grad.abs().sum().item()]
    report(results=results, calls=[len(calls)])


if __name__ == "__main__":
    main()
