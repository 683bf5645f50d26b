"""The same weights and data everywhere, PyTorch or not: from numpy."""

import json

import numpy as np
import torch


def array(seed, *shape, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def normal(seed, *shape, scale=1.0):
    return torch.from_numpy(array(seed, *shape, scale=scale))


def integers(seed, high, *shape):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, high, shape))


def fill(module, seed=0):
    """Matrices and filters by their fan-in, biases small; the scales of norms stay as they are."""
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            values = generator.standard_normal(tuple(parameter.shape))
            if parameter.dim() > 1:
                values /= np.sqrt(parameter.numel() / parameter.shape[0])
            elif name.endswith("weight"):
                continue
            else:
                values *= 0.05
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return module


def report(**values):
    print(json.dumps({name: [float(value) for value in value] for name, value in values.items()}))
