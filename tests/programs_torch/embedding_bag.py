"""Text classification with an EmbeddingBag over concatenated texts and offsets; a collate function puts batches together."""

import torch
from seeded import fill, integers, report
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Texts(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, number):
        return number % 3, integers(number, 30, 2 + number % 5)


def collate_batch(batch):
    label_list, text_list, offsets = [], [], [0]
    for label, text in batch:
        label_list.append(label)
        text_list.append(text)
        offsets.append(text.size(0))
    offsets = torch.tensor(offsets[:-1]).cumsum(dim=0)
    return torch.tensor(label_list, dtype=torch.int64).to(device), torch.cat(text_list).to(device), offsets.to(device)


class TextClassificationModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(30, 8, sparse=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


def main():
    model = fill(TextClassificationModel()).to(device)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    losses = []
    for _ in range(2):
        for label, text, offsets in DataLoader(Texts(), batch_size=4, shuffle=False, collate_fn=collate_batch):
            optimizer.zero_grad()
            loss = torch.nn.CrossEntropyLoss()(model(text, offsets), label)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    report(losses=losses)


if __name__ == "__main__":
    main()
