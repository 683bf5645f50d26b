"""A small convolutional network learns to read handwritten digits: real scans, one file, under a minute.

    python examples/digits.py [--device cpu|webgpu] [--epochs N] [--seed N] [--out FOLDER] [--reproducible]

1,797 images of 8 x 8 pixels (examples/data). 360 of them, drawn once and for all, are held out: the network never learns
from them, and the accuracy that is shown is on them. Writes digits.npz (the weights) and digits.png (the learning curve
and the digits that were misread) to the output folder. The same seed gives the same curve on every device; with
--reproducible, on webgpu, it gives the same bits on every driver, and prints a hash of the weights that shows it.
"""

import argparse
import hashlib
import pathlib
import sys
import time

import numpy as np

import webtorch
from webtorch import nn, optim

DATA = pathlib.Path(__file__).parent / "data" / "digits.npz"
HELD_OUT = 360
BATCH = 32


class Progress:
    """A bar that redraws itself on a terminal; where the output goes to a file it prints the finished line only."""

    def __init__(self, name, steps):
        self.name, self.steps, self.done, self.shown = name, steps, 0, 0.0

    def advance(self, note):
        self.done += 1
        now = time.monotonic()
        if sys.stdout.isatty() and (now - self.shown > 0.1 or self.done == self.steps):
            self.shown = now
            full = 24 * self.done // self.steps
            print(
                f"\r{self.name} [{'#' * full}{'.' * (24 - full)}] {self.done}/{self.steps}  {note}   ",
                end="",
                flush=True,
            )

    def finish(self, note):
        print(f"\r{self.name} [{'#' * 24}] {note}" if sys.stdout.isatty() else f"{self.name}  {note}", flush=True)


def load():
    """Training images and labels, then held-out images and labels: float32 (n, 1, 8, 8) in 0 ... 1, and int64 (n,)."""
    with np.load(DATA) as data:
        images = webtorch.tensor(data["images"].astype(np.float32) / 16).unsqueeze(1)
        labels = webtorch.tensor(data["labels"].astype(np.int64))
    webtorch.manual_seed(0)  # the split does not depend on the seed of the run
    order = webtorch.randperm(len(images))
    test, train = order[:HELD_OUT], order[HELD_OUT:]
    return images[train], labels[train], images[test], labels[test]


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(32 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def teacher(model, steps):
    """The optimizer, and the schedule that lowers its learning rate to nothing in so many steps."""
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    return optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def train_epoch(model, optimizer, schedule, images, labels, progress=None):
    """One pass over the training images in a new random order; returns the loss of each step."""
    model.train()
    measure = nn.CrossEntropyLoss()
    order = webtorch.randperm(len(images))
    losses = []
    for start in range(0, len(images), BATCH):
        batch = order[start : start + BATCH]
        optimizer.zero_grad()
        loss = measure(model(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if progress is not None:
            progress.advance(f"loss {losses[-1]:.4f}")
    return losses


def read(model, images):
    """The digit that the model reads in each image."""
    model.eval()
    return webtorch.no_grad(lambda: model(images).argmax(1))


def save(model, path):
    """The weights as numpy arrays, one per name: any program can read them."""
    np.savez(path, **{name: value.detach().numpy() for name, value in model.state_dict().items()})


def restore(model, path):
    with np.load(path) as arrays:
        model.load_state_dict({name: webtorch.tensor(arrays[name]) for name in arrays})


def fingerprint(model):
    """A SHA-256 of all weights: equal only where every bit is."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def draw(path, curve, accuracies, images, labels, predicted):
    """The learning curve, and below it the misread digits with what was read and what was meant."""
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed, so no picture: pip install matplotlib")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    images, labels, predicted = images.numpy(), labels.numpy(), predicted.numpy()
    wrong = np.flatnonzero(predicted != labels)
    columns = 10
    rows = max(1, -(-min(len(wrong), 40) // columns))
    figure = pyplot.figure(figsize=(9, 4.2 + rows), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[4, 0.4 + rows])

    axes = above.subplots()
    at = np.arange(1, len(curve) + 1) * len(accuracies) / len(curve)
    axes.plot(at, curve, color="tab:blue", linewidth=0.7, alpha=0.6)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", xlim=(0, len(accuracies)))
    axes.yaxis.label.set_color("tab:blue")
    right = axes.twinx()
    right.plot(np.arange(1, len(accuracies) + 1), [100 * value for value in accuracies], "o-", color="tab:orange")
    right.set_ylabel("held-out images read right (%)", color="tab:orange")
    axes.set_title(f"{100 * accuracies[-1]:.1f} % of {len(labels)} held-out digits read right")

    below.suptitle(f"The {len(wrong)} misread: read / meant" if len(wrong) else "None was misread")
    for place, cell in enumerate(below.subplots(rows, columns, squeeze=False).flat):
        cell.set(xticks=[], yticks=[])
        cell.set_visible(place < len(wrong))
        if place < len(wrong):
            cell.imshow(images[wrong[place], 0], cmap="gray_r", vmin=0, vmax=1)
            cell.set_title(f"{predicted[wrong[place]]} / {labels[wrong[place]]}", fontsize=10)
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "webgpu"], help="default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out", help="folder for what is written"
    )
    parser.add_argument(
        "--reproducible", action="store_true", help="the same bits on every driver; implies --device webgpu"
    )
    parser.add_argument("--images", type=int, help="how many images to learn from; default: all 1,437")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error("--epochs must be at least 1")
    if options.reproducible:
        if options.device == "cpu":
            parser.error("--reproducible says that all GPUs agree; the cpu computes with numpy, whose bits are its own")
        options.device = "webgpu"
        webtorch.webgpu.set_reproducible(True)

    device, reason = webtorch.default_device_reason() if options.device is None else (options.device, "--device")
    try:
        webtorch.zeros(1, dtype=webtorch.int64, device=device)  # labels and positions are int64
    except webtorch.DTypeError as error:
        if options.device is not None:
            sys.exit(f"device: {error}")
        device, reason = "cpu", str(error)
    webtorch.set_default_device(device)
    print(f"device: {device} ({reason})")

    images, labels, test_images, test_labels = load()
    images, labels = images[: options.images], labels[: options.images]
    print(f"data: {len(images)} images to learn from, {len(test_images)} held out")
    webtorch.manual_seed(options.seed)
    model = network()
    steps = -(-len(images) // BATCH)
    optimizer, schedule = teacher(model, options.epochs * steps)
    print(f"model: {sum(parameter.numel() for parameter in model.parameters()):,} weights, seed {options.seed}")

    start = time.perf_counter()
    curve, accuracies = [], []
    for epoch in range(1, options.epochs + 1):
        progress = Progress(f"epoch {epoch:2}/{options.epochs}", steps)
        losses = train_epoch(model, optimizer, schedule, images, labels, progress)
        curve += losses
        accuracies.append((read(model, test_images) == test_labels).float().mean().item())
        progress.finish(
            f"loss {sum(losses) / len(losses):.4f}   held-out accuracy {100 * accuracies[-1]:.2f} %   "
            f"{time.perf_counter() - start:.1f} s"
        )

    options.out.mkdir(parents=True, exist_ok=True)
    weights = options.out / "digits.npz"
    save(model, weights)
    again = network()  # other random weights, until the saved ones are loaded
    restore(again, weights)
    predicted = read(again, test_images)
    accuracy = (predicted == test_labels).float().mean().item()
    if accuracy != accuracies[-1]:
        sys.exit(f"the weights read back from {weights} give {accuracy}, not {accuracies[-1]}")
    if options.reproducible:
        print(f"sha-256 of the weights: {fingerprint(model)}")
    print(f"weights: {weights}; loaded again they give the same {100 * accuracy:.2f} %")
    draw(options.out / "digits.png", curve, accuracies, test_images, test_labels, predicted)


if __name__ == "__main__":
    main()
