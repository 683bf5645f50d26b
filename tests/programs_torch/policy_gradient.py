"""REINFORCE on a made-up game: a categorical distribution's probabilities, entropy, and a normal policy beside it."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from seeded import fill, integers, normal, report
from torch.distributions import Categorical, Normal

device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1, self.action_head, self.mean = nn.Linear(4, 16), nn.Linear(16, 3), nn.Linear(16, 2)
        self.log_std = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.mean(x)


def main():
    policy = fill(Policy()).to(device)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    state, action = normal(1, 10, 4).to(device), integers(2, 3, 10).to(device)
    moved, rewards = normal(3, 10, 2).to(device), normal(4, 10).tolist()
    returns, running = [], 0.0
    for reward in rewards[::-1]:
        running = reward + 0.9 * running
        returns.insert(0, running)
    returns = torch.tensor(returns, device=device)
    returns = (returns - returns.mean()) / (returns.std() + torch.finfo(returns.dtype).eps)
    losses = []
    for _ in range(3):
        probabilities, mean = policy(state)
        chosen, motion = Categorical(probabilities), Normal(mean, policy.log_std.exp())
        log_probability = chosen.log_prob(action) + motion.log_prob(moved).sum(-1)
        loss = (-log_probability * returns).sum() - 0.01 * (chosen.entropy().sum() + motion.entropy().sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert chosen.sample().shape == (10,)
    report(losses=losses)


if __name__ == "__main__":
    main()
