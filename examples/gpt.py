"""A small GPT learns to write, letter by letter, from Shakespeare's sonnets, and then writes lines of its own.

    python examples/gpt.py [--device cpu|webgpu] [--steps N] [--seed N] [--prompt TEXT] [--quick]

The transformer has three layers of causal attention and about 150,000 weights; it sees 64 letters and guesses the next.
A tenth of the text is held out: the loss on it says how well the model has learned what it was not shown.
"""

import argparse
import math
import pathlib

from showing import Progress

import webtorch as torch
from webtorch import nn
from webtorch.nn import functional as F

TEXT = pathlib.Path(__file__).parent / "data" / "sonnets.txt"


class Attention(nn.Module):
    """Each letter looks at itself and those before it, with several heads at once."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = self.into(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(seen.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attend = nn.Sequential(nn.LayerNorm(width), Attention(width, heads), nn.Dropout(dropout))
        self.think = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        x = x + self.attend(x)
        return x + self.think(x)


class GPT(nn.Module):
    def __init__(self, letters, context, width=64, heads=4, layers=3, dropout=0.0):
        super().__init__()
        self.context = context
        self.letter = nn.Embedding(letters, width)
        self.place = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)
        self.apply(self.start)
        self.head.weight = self.letter.weight  # one table, to read letters and to write them

    @staticmethod
    def start(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.05)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, letters):
        """(batch, length) of letter numbers to (batch, length, letters) of scores for the letter that follows each."""
        places = torch.arange(letters.shape[1], device=letters.device)
        return self.head(self.norm(self.blocks(self.letter(letters) + self.place(places))))

    @torch.no_grad()
    def write(self, letters, count, temperature=0.8, likeliest=20):
        """So many letters more, each drawn from the likeliest ones."""
        self.eval()
        for _ in range(count):
            window = letters[:, -self.context :]
            # Filled up to one length, so that a GPU compiles its kernels once; no letter looks at what comes after it.
            filled = F.pad(window, (0, self.context - window.shape[1]))
            scores = self(filled)[:, window.shape[1] - 1] / temperature
            least = scores.topk(likeliest, dim=-1).values[:, -1:]
            scores = scores.masked_fill(scores < least, -math.inf)
            letters = torch.cat([letters, torch.multinomial(scores.softmax(-1), 1)], dim=1)
        return letters


def batch_of(text, context, size):
    """Random pieces of the text, and the same pieces one letter on."""
    starts = torch.randint(len(text) - context, (size, 1), device=text.device)
    pieces = text[starts + torch.arange(context + 1, device=text.device)]
    return pieces[:, :-1], pieces[:, 1:]


def loss_of(model, inputs, targets):
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


@torch.no_grad()
def held_out_loss(model, text, pieces=48):
    """The mean loss over evenly spaced pieces of the text."""
    model.eval()
    starts = torch.linspace(0, len(text) - model.context - 1, pieces).long().unsqueeze(1)
    taken = text[starts + torch.arange(model.context + 1)]
    return loss_of(model, taken[:, :-1], taken[:, 1:]).item()


def optimizer_for(model, rate, steps):
    """AdamW that lets only matrices decay; the rate rises for a while, then falls along a cosine."""
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    others = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))
    rising = max(1, steps // 10)
    schedules = torch.optim.lr_scheduler
    schedule = schedules.SequentialLR(
        optimizer,
        [
            schedules.LinearLR(optimizer, 0.1, total_iters=rising),
            schedules.CosineAnnealingLR(optimizer, max(1, steps - rising), eta_min=rate / 20),
        ],
        milestones=[rising],
    )
    return optimizer, schedule


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cpu or webgpu; default: webgpu when there is a GPU, else cpu")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--context", type=int, default=64, help="how many letters the model sees")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", default="Shall I compare", help="how the text begins that the model writes")
    parser.add_argument("--letters", type=int, default=400, help="how many letters it writes")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs: it learns little")
    options = parser.parse_args()
    shape = {}
    if options.quick:
        options.steps, options.batch, options.context, options.letters = 20, 8, 32, 24
        shape = {"width": 32, "heads": 2, "layers": 2}
    if options.device:
        torch.set_default_device(options.device)
    print(f"device: {torch.get_default_device()}")

    written = TEXT.read_text("ascii")
    alphabet = sorted(set(written))
    number = {letter: at for at, letter in enumerate(alphabet)}
    if not options.prompt or set(options.prompt) - set(alphabet):
        parser.error(f"--prompt must be made of the letters of the sonnets: {''.join(alphabet).strip()}")
    text = torch.tensor([number[letter] for letter in written])
    learned, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    print(f"data: {len(learned):,} letters to learn from, {len(held_out):,} held out, {len(alphabet)} different ones")

    torch.manual_seed(options.seed)
    model = GPT(len(alphabet), options.context, **shape)
    optimizer, schedule = optimizer_for(model, 4e-3, options.steps)
    print(f"model: {sum(weight.numel() for weight in model.parameters()):,} weights, seed {options.seed}")
    print(f"before: held-out loss {held_out_loss(model, held_out):.3f}; guessing gives {math.log(len(alphabet)):.3f}")

    progress = Progress("step", options.steps)
    note = ""
    for step in range(options.steps):
        model.train()
        loss = loss_of(model, *batch_of(learned, options.context, options.batch))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 10 == 0 or step + 1 == options.steps:
            note = f"loss {loss.item():.3f}  rate {schedule.get_last_lr()[0]:.1e}"
        progress.advance(note)
    progress.finish(f"held-out loss {held_out_loss(model, held_out):.3f}")

    prompt = torch.tensor([[number[letter] for letter in options.prompt]])
    letters = model.write(prompt, options.letters, likeliest=min(20, len(alphabet)))[0].tolist()
    print("----")
    print("".join(alphabet[letter] for letter in letters))


if __name__ == "__main__":
    main()
