"""Fine-tuning that can be stopped at any time: a network that reads digits learns to tell odd ones from even ones.

    python examples/finetune.py [--device cpu|webgpu] [--epochs N] [--stop-after N] [--resume] [--out FOLDER] [--quick]

It begins with the weights that PyTorch wrote to data/digits_cnn.pt, with a new last layer. After each epoch a checkpoint is
written: model, optimizer, schedule and the state of the random numbers. With --stop-after N the run is interrupted after
N epochs, everything is built anew and goes on from the checkpoint, and then a second run does the same without a break:
the two print the same hash of their weights, bit for bit. With --resume it goes on where an earlier run was stopped.
"""

import argparse
import hashlib
import pathlib
import sys

import digit_images
from load_checkpoint import CHECKPOINT, DigitNetwork
from showing import Progress

import webtorch as torch
from webtorch import nn
from webtorch.nn import functional as F

BATCH = 64


class Run:
    """One training run: the model, what trains it, and how many epochs it has behind it."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        self.options = options
        self.model = DigitNetwork()
        device = torch.get_default_device()
        self.model.load_state_dict(torch.load(CHECKPOINT, map_location=device)["model"])
        self.model.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 2))  # new, and so it learns faster than the rest
        groups = [
            {"params": self.model.features.parameters(), "lr": 1e-3},
            {"params": self.model.head.parameters(), "lr": 1e-2},
        ]
        self.optimizer = torch.optim.AdamW(groups)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, options.epochs)
        self.epoch = 0

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint = {
            "epoch": self.epoch,
            "epochs": self.options.epochs,
            "seed": self.options.seed,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(checkpoint, path)

    def restore(self, path):
        checkpoint = torch.load(path, map_location="cpu")
        for name in ("epochs", "seed"):
            if checkpoint[name] != getattr(self.options, name):
                sys.exit(f"{path} is of a run with --{name} {checkpoint[name]}: resume it with the same")
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.schedule.load_state_dict(checkpoint["schedule"])
        torch.set_rng_state(checkpoint["random"])
        self.epoch = checkpoint["epoch"]

    def train(self, until, data, path):
        """Goes on until so many epochs are done; a checkpoint is left after each."""
        images, odd, test_images, test_odd = data
        steps = -(-len(images) // BATCH)
        while self.epoch < until:
            self.model.train()
            progress = Progress(f"epoch {self.epoch + 1}/{self.options.epochs}", steps, lines=0)
            for batch in torch.randperm(len(images)).split(BATCH):
                loss = F.cross_entropy(self.model(images[batch]), odd[batch])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                progress.advance()
            self.schedule.step()
            self.epoch += 1
            self.model.eval()
            with torch.no_grad():
                right = (self.model(test_images).argmax(1) == test_odd).float().mean().item()
            progress.finish(f"loss {loss.item():.4f}  held-out accuracy {100 * right:.2f} %")
            self.save(path)

    def fingerprint(self):
        """A SHA-256 of all weights: equal only where every bit is."""
        digest = hashlib.sha256()
        for name, value in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().numpy().tobytes())
        return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--stop-after", type=int, help="epochs before the break; default: half of them")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of a run that was stopped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs: it learns little")
    options = parser.parse_args()
    if options.quick:
        options.epochs = 2
    stop = options.epochs // 2 if options.stop_after is None else options.stop_after
    if not 0 <= stop <= options.epochs:
        parser.error(f"--stop-after must be from 0 to the number of epochs, {options.epochs}")
    if options.device:
        torch.set_default_device(options.device)
    print(f"device: {torch.get_default_device()}")

    images, labels, test_images, test_labels = digit_images.load()
    if options.quick:
        images, labels = images[:192], labels[:192]
    data = images, labels % 2, test_images, test_labels % 2
    path = options.out / "finetune.pt"

    first = Run(options)
    if options.resume:
        first.restore(path)
        print(f"resumed: {path} after {first.epoch} of {options.epochs} epochs")
        first.train(options.epochs, data, path)
        print(f"resumed run:       {first.fingerprint()}")
        return
    first.train(stop, data, path)
    if not stop:
        first.save(path)
    print(f"stopped after {stop} epochs: {path}")
    second = Run(options)
    second.restore(path)
    second.train(options.epochs, data, path)

    print("and once more, without a break")
    whole = Run(options)
    whole.train(options.epochs, data, options.out / "finetune_whole.pt")
    print(f"resumed run:       {second.fingerprint()}")
    print(f"uninterrupted run: {whole.fingerprint()}")
    if second.fingerprint() != whole.fingerprint():
        sys.exit("they differ")
    print("the same weights, bit for bit")


if __name__ == "__main__":
    main()
