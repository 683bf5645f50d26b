"""A convolutional autoencoder with max pooling by indices and unpooling, smooth L1 loss and Adamax."""

import torch
from seeded import fill, normal, report
from torch import nn

device = torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.back = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1, padding_mode="reflect")
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.squash = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 12), nn.ELU(), nn.Linear(12, 64), nn.Unflatten(1, (4, 4, 4))
        )

    def forward(self, x):
        hidden, where = self.pool(nn.functional.silu(self.conv(x)))
        return self.back(self.unpool(self.squash(hidden), where))


def main():
    model = fill(Autoencoder()).to(device)
    x = normal(1, 5, 1, 8, 8).to(device)
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        loss = nn.SmoothL1Loss()(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    report(losses=losses)


if __name__ == "__main__":
    main()
