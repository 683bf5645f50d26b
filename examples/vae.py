"""A variational autoencoder learns to draw digits: it squeezes each through a few numbers, then makes new ones from chance.

    python examples/vae.py [--device cpu|webgpu] [--epochs N] [--latent N] [--seed N] [--out FOLDER] [--quick]

Writes vae.png: held-out digits, below each what comes back from its few numbers, then digits that nobody wrote, and last
a walk from one digit to another.
"""

import argparse
import pathlib

import digit_images
from showing import Progress, grid, save_png

import webtorch as torch
from webtorch import nn
from webtorch.nn import functional as F

BATCH = 64
COLUMNS = 16


class VAE(nn.Module):
    def __init__(self, latent, hidden=128):
        super().__init__()
        self.latent = latent
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(64, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 64),
            nn.Unflatten(1, (1, 8, 8)),
        )

    def encode(self, images):
        hidden = self.encoder(images)
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, images):
        """The scores of the pixels that come back, and what the image was squeezed into: means and log variances."""
        mean, log_variance = self.encode(images)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


def losses_of(images, scores, mean, log_variance):
    """Per image: how badly it came back, and how far its code is from a standard normal one."""
    lost = F.binary_cross_entropy_with_logits(scores, images, reduction="sum") / len(images)
    spread = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum() / len(images)
    return lost, spread


def picture(model, images, labels):
    """Rows of images: held-out ones, what comes back, new ones, and a walk from the first to another digit."""
    model.eval()
    mean, _ = model.encode(images)
    back = model.decoder(mean).sigmoid()
    new = model.decoder(torch.randn(2 * COLUMNS, model.latent)).sigmoid()
    along = torch.linspace(0, 1, COLUMNS).unsqueeze(1)
    other = (labels != labels[0]).nonzero()[0]
    walk = model.decoder(mean[:1] * (1 - along) + mean[other] * along).sigmoid()
    return torch.cat([images, back, new, walk])[:, 0].cpu().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--latent", type=int, default=8, help="how many numbers an image is squeezed into")
    parser.add_argument("--strictness", type=float, default=0.3, help="weight of the codes' distance from normal ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "out")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs: it learns little")
    options = parser.parse_args()
    if options.device:
        torch.set_default_device(options.device)
    print(f"device: {torch.get_default_device()}")

    images, _, test_images, test_labels = digit_images.load()
    if options.quick:
        options.epochs, images = 6, images[:640]
    print(f"data: {len(images)} images to learn from, {len(test_images)} held out")
    torch.manual_seed(options.seed)
    model = VAE(options.latent)
    print(f"model: {sum(weight.numel() for weight in model.parameters()):,} weights, seed {options.seed}")
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)

    def held_out():
        model.eval()
        with torch.no_grad():
            lost, spread = losses_of(test_images, *model(test_images))
        return (
            f"held-out loss {(lost + spread).item():.2f}: {lost.item():.2f} lost, {spread.item():.2f} kept in the code"
        )

    print(f"before: {held_out()}")
    progress = Progress("epoch", options.epochs)
    for _ in range(options.epochs):
        model.train()
        for batch in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            lost, spread = losses_of(images[batch], *model(images[batch]))
            loss = lost + options.strictness * spread
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        progress.advance(f"loss {loss.item():.2f}")
    progress.finish(held_out())
    with torch.no_grad():
        save_png(
            options.out / "vae.png",
            grid(picture(model, test_images[:COLUMNS], test_labels[:COLUMNS]), COLUMNS, scale=5),
        )


if __name__ == "__main__":
    main()
