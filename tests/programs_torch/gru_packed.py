"""A bidirectional GRU over sequences of different lengths, padded and packed."""

import torch
import torch.nn as nn
from seeded import array, fill, report
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(5, 7, num_layers=1, bidirectional=True, batch_first=True)
        self.out = nn.Linear(14, 2)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, last = self.gru(packed)
        out, sizes = pad_packed_sequence(out, batch_first=True)
        mask = torch.arange(out.size(1))[None, :] < sizes[:, None]
        pooled = (out * mask.unsqueeze(-1).to(out)).sum(1) / sizes[:, None].to(out)
        return self.out(pooled + torch.cat([last[0], last[1]], dim=-1))


def main():
    lengths = [3, 6, 2, 5]
    sequences = [torch.from_numpy(array(number, length, 5)) for number, length in enumerate(lengths)]
    x = pad_sequence(sequences, batch_first=True).to(device)
    y = torch.tensor([0.0, 1.0, 1.0, 0.0], device=device)
    model = fill(Tagger()).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    loss_function = nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        scores = model(x, torch.tensor(lengths))
        loss = loss_function(scores[:, 0] - scores[:, 1], y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    report(losses=losses)


if __name__ == "__main__":
    main()
