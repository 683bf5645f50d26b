"""An LSTM learns to carry on curves that are sums of two waves, and draws what it expects against what comes.

    python examples/lstm.py [--device cpu|webgpu] [--steps N] [--seed N] [--out FOLDER] [--quick]

Each training curve has other periods, and they differ in length: a batch of them is packed, so that none is filled up
with zeros that would be learned. Then the network sees the first part of new curves and goes on alone, each value that
it expects being its next input. Writes lstm.png: the curves in blue, what the network expects of them in orange.
"""

import argparse
import pathlib

import numpy as np
from showing import Progress, plot, save_png

import webtorch as torch
from webtorch import nn
from webtorch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


class Forecaster(nn.Module):
    """From each value, and what it remembers of those before, to the next value."""

    def __init__(self, hidden=48, layers=1):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, num_layers=layers, batch_first=True)
        self.change = nn.Linear(hidden, 1)

    def forward(self, values, state=None):
        """values: (batch, length, 1), or packed; the next values in the same form, and the state after the last."""
        hidden, state = self.lstm(values, state)
        if isinstance(hidden, nn.utils.rnn.PackedSequence):
            return hidden._replace(data=values.data + self.change(hidden.data)), state
        return values + self.change(hidden), state

    @torch.no_grad()
    def carry_on(self, values, count):
        """So many values after those of (batch, length, 1), each made from the one before."""
        self.eval()
        expected, state = self(values)
        made = [expected[:, -1:]]
        while len(made) < count:
            expected, state = self(made[-1], state)
            made.append(expected)
        return torch.cat(made, dim=1)


def curve(chance, length):
    """A sum of two waves whose periods, strengths and starts are drawn from `chance`, a numpy generator."""
    places = np.arange(length)
    waves = [
        strength * np.sin(2 * np.pi * (places / period + start))
        for strength, period, start in (
            (chance.uniform(0.6, 1.0), chance.uniform(18, 30), chance.uniform()),
            (chance.uniform(0.2, 0.4), chance.uniform(6, 9), chance.uniform()),
        )
    ]
    return torch.tensor(np.sum(waves, axis=0).astype(np.float32)).unsqueeze(1)


def batch_of(chance, size, longest):
    """Packed curves of three different lengths, and the same curves one value on.

    There are as many of each length in every batch, so that a GPU compiles its kernels once."""
    lengths = chance.permutation(np.resize([longest, longest * 3 // 4, longest // 2], size))
    curves = [curve(chance, length + 1) for length in lengths]
    inputs = pad_sequence([one[:-1] for one in curves], batch_first=True)
    targets = pad_sequence([one[1:] for one in curves], batch_first=True)
    lengths = torch.tensor(lengths, device="cpu")
    return tuple(
        pack_padded_sequence(part, lengths, batch_first=True, enforce_sorted=False) for part in (inputs, targets)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs: it learns little")
    options = parser.parse_args()
    size, longest, seen, ahead, hidden = 24, 60, 80, 40, 48
    if options.quick:
        options.steps, size, longest, seen, ahead, hidden = 12, 8, 12, 24, 12, 16
    if options.device:
        torch.set_default_device(options.device)
    print(f"device: {torch.get_default_device()}")

    torch.manual_seed(options.seed)
    chance = np.random.default_rng(options.seed)
    model = Forecaster(hidden)
    print(f"model: {sum(weight.numel() for weight in model.parameters()):,} weights, seed {options.seed}")
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    measure = nn.MSELoss()

    progress = Progress("step", options.steps)
    first = None
    for _ in range(options.steps):
        model.train()
        inputs, targets = batch_of(chance, size, longest)
        expected, _ = model(inputs)
        loss = measure(expected.data, targets.data)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        first = loss.item() if first is None else first
        progress.advance(f"loss {loss.item():.5f}")
    progress.finish(f"loss {loss.item():.5f}, at first {first:.5f}")

    # The packed values come back in the order in which they went in.
    back, lengths = pad_packed_sequence(expected, batch_first=True)
    assert back.shape == (size, int(lengths.max()), 1)

    new = torch.stack([curve(chance, seen + ahead) for _ in range(4)])
    future = new[:, seen:]
    forecast = model.carry_on(new[:, :seen], ahead)
    error = (forecast - future).square().mean().sqrt().item()
    still = (new[:, seen - 1 : seen] - future).square().mean().sqrt().item()
    print(f"{ahead} values ahead: off by {error:.3f}; repeating the last value is off by {still:.3f}")
    pictures = []
    for true, made in zip(new[:, :, 0].cpu().numpy(), forecast[:, :, 0].cpu().numpy()):
        pictures.append(plot(true, np.concatenate([np.full(seen, np.nan), made]), size=(150, 800)))
        pictures.append(np.full((6, 800, 3), 160, np.uint8))
    save_png(options.out / "lstm.png", np.concatenate(pictures[:-1]))


if __name__ == "__main__":
    main()
