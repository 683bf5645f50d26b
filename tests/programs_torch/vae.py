"""A variational autoencoder; the noise comes from numpy, so that it is the same everywhere."""

import torch
import torch.utils.data
from seeded import array, fill, report
from torch import nn, optim
from torch.nn import functional as F

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(36, 20), nn.Linear(20, 4), nn.Linear(20, 4)
        self.fc3, self.fc4 = nn.Linear(4, 20), nn.Linear(20, 36)
        self.draws = 0

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        self.draws += 1
        eps = torch.as_tensor(array(100 + self.draws, *mu.shape)).to(std)
        return mu + eps * std

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        z = self.reparameterize(mu, logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 36), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def main():
    pictures = torch.sigmoid(torch.from_numpy(array(3, 16, 1, 6, 6)))
    loader = torch.utils.data.DataLoader(pictures, batch_size=8)
    model = fill(VAE()).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(2):
        for data in loader:
            data = data.to(device)
            optimizer.zero_grad()
            loss = loss_function(*((out := model(data))[0], data, *out[1:]))
            loss.backward()
            losses.append(loss.item() / len(data))
            optimizer.step()
    report(losses=losses)


if __name__ == "__main__":
    main()
