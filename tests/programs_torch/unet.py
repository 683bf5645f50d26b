"""A small U-Net: double convolutions, a skip connection, transposed convolution and interpolation, Dice loss."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from seeded import fill, normal, report

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.GroupNorm(2, outputs), nn.LeakyReLU(0.1, inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down = double_conv(1, 4), nn.Sequential(nn.AvgPool2d(2), double_conv(4, 8))
        self.up, self.conv = nn.ConvTranspose2d(8, 4, kernel_size=2, stride=2), double_conv(8, 4)
        self.outc = nn.Conv2d(4, 1, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.up(self.down(x1))
        x2 = F.pad(x2, [0, x1.size(3) - x2.size(3), 0, x1.size(2) - x2.size(2)])
        hidden = self.conv(torch.cat([x1, x2], dim=1))
        return self.outc(hidden) + F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=True).mean()


def main():
    model = fill(UNet()).to(memory_format=torch.channels_last).to(device)
    x = normal(1, 2, 1, 9, 9).to(device)
    target = (x > 0).float()
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        mask = torch.sigmoid(model(x))
        dice = 1 - (2 * (mask * target).sum() + 1) / (mask.sum() + target.sum() + 1)
        loss = dice + F.binary_cross_entropy_with_logits(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    report(losses=losses)


if __name__ == "__main__":
    main()
