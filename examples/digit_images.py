"""The handwritten digits of examples/data, split into images to learn from and images that are held out."""

import pathlib

import numpy as np

import webtorch as torch

DATA = pathlib.Path(__file__).parent / "data" / "digits.npz"
HELD_OUT = 360


def load():
    """Training images and labels, then held-out images and labels: float32 (n, 1, 8, 8) in 0 ... 1, and int64 (n,)."""
    with np.load(DATA) as data:
        images, labels = data["images"].astype(np.float32)[:, None] / 16, data["labels"].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))  # the split does not depend on the seed of the run
    held_out, learned = order[:HELD_OUT], order[HELD_OUT:]
    return tuple(torch.tensor(part) for part in (images[learned], labels[learned], images[held_out], labels[held_out]))
