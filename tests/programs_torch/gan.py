"""A generative adversarial network: two optimizers, transposed convolutions, batch norm, `weights_init` by class name."""

import torch
import torch.nn as nn
import torch.optim as optim
from seeded import fill, normal, report

device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("BatchNorm") != -1:
        torch.nn.init.constant_(m.weight, 1.0)
        torch.nn.init.zeros_(m.bias)


def main():
    generator = nn.Sequential(
        nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(8, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    for number, network in enumerate((generator, critic)):
        fill(network, number).to(device).apply(weights_init)
    criterion = nn.BCELoss()
    optimizer_d = optim.Adam(critic.parameters(), lr=0.01, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(generator.parameters(), lr=0.01, betas=(0.5, 0.999))
    losses_d, losses_g = [], []
    for step in range(2):
        real = normal(step, 4, 1, 8, 8).tanh().to(device)
        critic.zero_grad()
        label = torch.full((4,), 1.0, dtype=real.dtype, device=device)
        error_real = criterion(critic(real).view(-1), label)
        error_real.backward()
        fake = generator(normal(10 + step, 4, 6, 1, 1).to(device))
        label.fill_(0.0)
        error_fake = criterion(critic(fake.detach()).view(-1), label)
        error_fake.backward()
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        error = criterion(critic(fake).view(-1), label)
        error.backward()
        optimizer_g.step()
        losses_d.append((error_real + error_fake).item())
        losses_g.append(error.item())
    report(critic=losses_d, generator=losses_g)


if __name__ == "__main__":
    main()
