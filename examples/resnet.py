"""A residual network learns to read handwritten digits that are turned and moved a little each time it sees them.

    python examples/resnet.py [--device cpu|webgpu] [--epochs N] [--seed N] [--out FOLDER] [--quick]

Three stages of residual blocks with batch normalisation, for images of 8 x 8 pixels. Prints the accuracy on held-out
images and which digits were taken for which; writes resnet.png, the held-out images that were misread.
"""

import argparse
import pathlib

import digit_images
from showing import Progress, grid, save_png

import webtorch as torch
from webtorch import nn
from webtorch.nn import functional as F

BATCH = 64


class Block(nn.Module):
    """Two convolutions, and a way past them: what the block learns is what to add to its input."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.second_norm.weight)  # at first the block adds nothing
        self.past = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.past = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        added = F.relu(self.first_norm(self.first(x)))
        added = self.second_norm(self.second(added))
        return F.relu(added + self.past(x))


class ResNet(nn.Module):
    def __init__(self, blocks=1, width=16, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        layers, inputs = [], width
        for stage in range(3):
            for place in range(blocks):
                outputs = width << stage
                layers.append(Block(inputs, outputs, 2 if stage and not place else 1))
                inputs = outputs
        self.stages = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))

    def forward(self, x):
        return self.head(self.stages(self.stem(x)))


def augmented(images):
    """Each image turned by up to 12 degrees or so and moved by up to a pixel."""
    many = len(images)
    angle = torch.empty(many, device=images.device).uniform_(-0.2, 0.2)
    shift = torch.empty(many, 2, device=images.device).uniform_(-0.2, 0.2)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    where = F.affine_grid(torch.cat([turn, shift.unsqueeze(2)], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, where, align_corners=False)


def train_epoch(model, optimizer, schedule, images, labels, progress):
    model.train()
    total = 0.0
    # The last images of each pass, fewer than a batch, are left out.
    for batch in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
        loss = F.cross_entropy(model(augmented(images[batch])), labels[batch], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        progress.advance(f"loss {loss.item():.3f}")
    return total / (len(images) // BATCH)


@torch.no_grad()
def read(model, images):
    """The digit that the model reads in each image."""
    model.eval()
    return torch.cat([model(part).argmax(1) for part in images.split(120)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=1, help="residual blocks in each of the three stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs: it learns little")
    options = parser.parse_args()
    if options.device:
        torch.set_default_device(options.device)
    print(f"device: {torch.get_default_device()}")

    images, labels, test_images, test_labels = digit_images.load()
    width = 16
    if options.quick:
        options.epochs, width = 3, 8
        images, labels, test_images, test_labels = images[:320], labels[:320], test_images[:120], test_labels[:120]
    print(f"data: {len(images)} images to learn from, {len(test_images)} held out")

    torch.manual_seed(options.seed)
    model = ResNet(options.blocks, width)
    print(f"model: {sum(weight.numel() for weight in model.parameters()):,} weights, seed {options.seed}")
    steps = len(images) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=options.epochs * steps)

    progress = Progress("step", options.epochs * steps)
    for _ in range(options.epochs):
        loss = train_epoch(model, optimizer, schedule, images, labels, progress)
    progress.finish(f"loss of the last epoch {loss:.3f}")

    predicted = read(model, test_images)
    accuracy = (predicted == test_labels).float().mean().item()
    print(f"held-out accuracy {100 * accuracy:.2f} %")
    confusion = torch.zeros(10, 10, dtype=torch.int64)
    confusion.index_put_((test_labels, predicted), torch.ones_like(predicted), accumulate=True)
    print("meant \\ read" + "".join(f"{digit:4}" for digit in range(10)))
    for digit, row in enumerate(confusion.tolist()):
        print(f"{digit:12}" + "".join(f"{count:4}" if count else "   ." for count in row))

    wrong = (predicted != test_labels).nonzero()[:, 0].cpu()
    if len(wrong):
        pairs = zip(test_labels.cpu()[wrong].tolist(), predicted.cpu()[wrong].tolist())
        listed = [f"{meant} as {found}" for meant, found in pairs]
        print("misread: " + ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else ""))
        shown = test_images.cpu()[wrong][:, 0].numpy()
    else:
        print("none was misread; the picture shows the first")
        shown = test_images.cpu()[:10, 0].numpy()
    save_png(options.out / "resnet.png", grid(shown, columns=10, scale=6))


if __name__ == "__main__":
    main()
