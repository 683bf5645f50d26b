"""Datasets and loaders: a dataset of one's own, splits, samplers, weighted and in order; reproducible by a generator."""

import torch
from seeded import fill, normal, report
from torch import nn
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset, SequentialSampler, Subset, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Squares(Dataset):
    def __init__(self, length):
        self.x = normal(4, length, 2)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, number):
        return {"x": self.x[number], "y": self.x[number].square().sum(), "number": number}


def main():
    dataset = Squares(21)
    train_set, rest = Subset(dataset, range(16)), Subset(dataset, range(16, 21))
    parts = torch.utils.data.random_split(dataset, [16, 5], generator=torch.Generator().manual_seed(42))
    shuffled = DataLoader(dataset, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(1))
    seen = sorted(int(number) for batch in shuffled for number in batch["number"])
    model = fill(nn.Sequential(nn.Linear(2, 12), nn.Hardswish(), nn.Linear(12, 1))).to(device)
    optimizer = torch.optim.RAdam(model.parameters(), lr=0.05)
    losses = []
    for batch in DataLoader(train_set, batch_sampler=BatchSampler(SequentialSampler(train_set), 6, drop_last=False)):
        x, y = batch["x"].to(device, non_blocking=True), batch["y"].to(device)
        loss = nn.functional.l1_loss(model(x).squeeze(-1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    both = ConcatDataset([TensorDataset(normal(1, 3, 2)), TensorDataset(normal(2, 4, 2))])
    sizes = [len(rest), *map(len, parts), len(both), *(len(batch[0]) for batch in DataLoader(both, 3, drop_last=True))]
    report(losses=losses, seen=seen, sizes=sizes, total=[len(shuffled)])


if __name__ == "__main__":
    main()
