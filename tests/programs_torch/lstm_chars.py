"""A character model: embedding, two-layer LSTM with a state carried from chunk to chunk, clipped gradients, greedy text."""

import torch
import torch.nn as nn
from seeded import fill, report

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
text = "the quick brown fox jumps over the lazy dog. " * 3
letters = sorted(set(text))
number_of = {letter: number for number, letter in enumerate(letters)}


class CharModel(nn.Module):
    def __init__(self, size, hidden=24, layers=2):
        super().__init__()
        self.encoder = nn.Embedding(size, 12)
        self.rnn = nn.LSTM(12, hidden, layers, batch_first=True)
        self.decoder = nn.Linear(hidden, size)
        self.hidden, self.layers = hidden, layers

    def forward(self, x, state):
        out, state = self.rnn(self.encoder(x), state)
        return self.decoder(out.reshape(-1, self.hidden)), state

    def init_hidden(self, batch):
        weight = next(self.parameters())
        return weight.new_zeros(self.layers, batch, self.hidden), weight.new_zeros(self.layers, batch, self.hidden)


def main():
    codes = torch.LongTensor([number_of[letter] for letter in text])
    x, y = codes[:-1][:128].view(4, 32).to(device), codes[1:][:128].view(4, 32).to(device)
    model = fill(CharModel(len(letters))).to(device)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
    losses, norms = [], []
    state = model.init_hidden(4)
    for start in (0, 8, 16):
        state = tuple(part.detach() for part in state)
        logits, state = model(x[:, start : start + 8], state)
        loss = nn.CrossEntropyLoss()(logits, y[:, start : start + 8].reshape(-1))
        model.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item())
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.inference_mode():
        state, letter, written = model.init_hidden(1), torch.zeros(1, 1, dtype=torch.long, device=device), []
        for _ in range(4):
            logits, state = model(letter, state)
            letter = logits.topk(1)[1].view(1, 1)
            written.append(letter.item())
    report(losses=losses, norms=norms, written=written)


if __name__ == "__main__":
    main()
