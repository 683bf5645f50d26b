"""A network that was trained in PyTorch reads digits in webtorch, and gives the numbers that it gave there.

    python examples/load_checkpoint.py [--device cpu|webgpu] [--out FOLDER]

data/digits_cnn.pt is a checkpoint as PyTorch's own torch.save wrote it (tests/record_example_checkpoint.py): the weights,
the epoch, and what PyTorch computed for the first twenty held-out images. Nothing in such a file is run when it is loaded:
it can hold tensors, numbers, texts and their containers, and nothing else.
"""

import argparse
import pathlib
import sys

import digit_images
from showing import grid, save_png

import webtorch as torch
from webtorch import nn

CHECKPOINT = pathlib.Path(__file__).parent / "data" / "digits_cnn.pt"


class DigitNetwork(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, images):
        """(n, 1, 8, 8) of images to (n, classes) of scores."""
        return self.head(self.features(images))


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--quick", action="store_true", help="accepted, and changes nothing: it takes no time")
    options = parser.parse_args()
    if options.device:
        torch.set_default_device(options.device)
    device = torch.get_default_device()
    print(f"device: {device}")

    checkpoint = torch.load(CHECKPOINT, map_location=device)
    print(f"checkpoint: {CHECKPOINT.name}, written by PyTorch {checkpoint['version']}, epoch {checkpoint['epoch']}")
    for name, weight in checkpoint["model"].items():
        print(f"  {name:32} {str(weight.dtype).split('.')[-1]:8} {tuple(weight.shape)}")
    model = DigitNetwork()
    print(f"loaded: {model.load_state_dict(checkpoint['model'])}")
    model.eval()

    _, _, images, labels = digit_images.load()
    recorded = checkpoint["outputs"]
    scores = model(images[: len(recorded)])
    difference = (scores - recorded).abs().max().item()
    print(f"the scores differ by {difference:.1e} at most from those that PyTorch computed")
    if difference > 1e-4:
        sys.exit("that is more than rounding")
    found = model(images).argmax(1)
    print(
        f"held-out accuracy {100 * (found == labels).float().mean().item():.2f} %; PyTorch had {checkpoint['accuracy']:.2f} %"
    )
    print("read:  " + " ".join(map(str, found[: len(recorded)].tolist())))
    print("meant: " + " ".join(map(str, labels[: len(recorded)].tolist())))
    save_png(options.out / "load_checkpoint.png", grid(images[: len(recorded), 0].cpu().numpy(), 10, scale=6))


if __name__ == "__main__":
    main()
