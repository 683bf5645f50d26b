"""A transformer encoder with sinusoidal positions and a padding mask."""

import math

import torch
from seeded import fill, integers, report
from torch import Tensor, nn
from torch.nn import TransformerEncoder, TransformerEncoderLayer

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class PositionalEncoding(nn.Module):
    def __init__(self, width: int, longest: int = 32):
        super().__init__()
        position = torch.arange(longest).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(1, longest, width)
        table[0, :, 0::2] = torch.sin(position * rate)
        table[0, :, 1::2] = torch.cos(position * rate)
        self.register_buffer("table", table)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[:, : x.size(1)]


class Classifier(nn.Module):
    def __init__(self, words=20, width=16, heads=4):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.position = PositionalEncoding(width)
        layer = TransformerEncoderLayer(
            width, heads, dim_feedforward=32, dropout=0.0, batch_first=True, activation="gelu"
        )
        self.encoder = TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)
        self.scale = math.sqrt(width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.position(self.embed(x) * self.scale)
        hidden = self.encoder(hidden, src_key_padding_mask=x.eq(0))
        return self.head(hidden.mean(dim=1))


def main():
    x, y = integers(1, 20, 4, 7), integers(2, 3, 4)
    x[:, 0], x[1, 5:], x[3, 4:] = 1, 0, 0
    model = fill(Classifier()).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, betas=(0.9, 0.98), eps=1e-9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) ** -0.5, (step + 1) / 3))
    losses = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    report(losses=losses)


if __name__ == "__main__":
    main()
