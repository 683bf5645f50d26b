"""A run that is broken off, saved and resumed ends as one that was not: model, optimizer and scheduler in a checkpoint."""

import os
import tempfile

import torch
import torch.nn as nn
from seeded import fill, normal, report

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make():
    model = fill(nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.SELU(), nn.Linear(10, 1))).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)


def train(model, optimizer, scheduler, steps):
    losses = []
    for step in steps:
        x = normal(step, 8, 6).to(device)
        loss = nn.functional.huber_loss(model(x), x.prod(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def main():
    straight = train(*make(), range(4))
    model, optimizer, scheduler = make()
    losses = train(model, optimizer, scheduler, range(2))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "checkpoint.pth")
        torch.save(
            {
                "epoch": 2,
                "model_state_dict": model.state_dict(),
                "optimizer_state_dict": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
            },
            path,
        )
        checkpoint = torch.load(path, map_location=device, weights_only=True)
    model, optimizer, scheduler = make()
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    losses += train(model, optimizer, scheduler, range(checkpoint["epoch"], 4))
    report(straight=straight, resumed=losses, lr=scheduler.get_last_lr())


if __name__ == "__main__":
    main()
