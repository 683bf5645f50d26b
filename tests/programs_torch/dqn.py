"""Q-learning from a replay memory: gather and scatter, a target network that follows softly, Huber loss, clipped values."""

import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from seeded import array, fill, report

device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class DQN(nn.Module):
    def __init__(self, observations, actions):
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(observations, 16), nn.Linear(16, actions)

    def forward(self, x):
        return self.layer2(F.relu(self.layer1(x)))


def main():
    policy, target = fill(DQN(4, 3)).to(device), DQN(4, 3).to(device)
    target.load_state_dict(policy.state_dict())
    optimizer = optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    random.seed(0)
    memory = deque([], maxlen=40)
    for step in range(40):
        following = None if step % 7 == 0 else torch.tensor(array(step + 1, 4), device=device).unsqueeze(0)
        memory.append(
            Transition(
                torch.tensor(array(step, 4), device=device).unsqueeze(0),
                torch.tensor([[step % 3]], device=device, dtype=torch.long), following,
                torch.tensor([step / 40], device=device),
            )
        )  # fmt: skip
    losses = []
    for _ in range(3):
        batch = Transition(*zip(*random.sample(memory, 8), strict=True))
        mask = torch.tensor(tuple(s is not None for s in batch.next_state), device=device, dtype=torch.bool)
        following = torch.cat([s for s in batch.next_state if s is not None])
        state, action, reward = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
        value = policy(state).gather(1, action)
        next_values = torch.zeros(8, device=device)
        with torch.no_grad():
            next_values[mask] = target(following).max(1).values
        loss = nn.SmoothL1Loss()(value, ((next_values * 0.99) + reward).unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy.parameters(), 100)
        optimizer.step()
        weights, following = target.state_dict(), policy.state_dict()
        for key in following:
            weights[key] = following[key] * 0.1 + weights[key] * 0.9
        target.load_state_dict(weights)
        losses.append(loss.item())
    chosen = torch.zeros(8, 3, device=device).scatter_(1, policy(state).argmax(1, keepdim=True), 1.0).sum(0)
    report(losses=losses, chosen=chosen.tolist())


if __name__ == "__main__":
    main()
