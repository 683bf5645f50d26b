"""A multilayer perceptron that tells four clouds of points apart, with a DataLoader and Adam."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from seeded import array, fill, report
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"


class MLP(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 4)
        )

    def forward(self, x):
        return self.net(x)


def main():
    torch.manual_seed(0)
    centres = np.array([[0, 0], [3, 0], [0, 3], [3, 3]], np.float32)
    labels = np.arange(96) % 4
    points = centres[labels] + array(1, 96, 2, scale=0.5)
    dataset = TensorDataset(torch.tensor(points), torch.tensor(labels, dtype=torch.long))
    loader = DataLoader(dataset, batch_size=32, shuffle=False)
    model = fill(MLP(16)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    losses, accuracy = [], []
    for _ in range(3):
        model.train()
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in loader:
                prediction = model(x.to(device)).argmax(dim=1).cpu()
                correct += (prediction == y).sum().item()
        accuracy.append(correct / len(dataset))
    report(losses=losses, accuracy=accuracy)


if __name__ == "__main__":
    main()
