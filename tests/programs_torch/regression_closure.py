"""Linear regression fitted with LBFGS, whose step takes a closure; then by SGD with the same closure, by hand at last."""

import torch
from seeded import fill, normal, report

device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def fit(model, optimizer, x, y):
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(2):
        optimizer.step(closure)
    return losses


def main():
    x = normal(1, 32, 3).to(device)
    y = x @ torch.tensor([[1.5], [-2.0], [0.5]], device=device) + 0.3 + normal(2, 32, 1, scale=0.1).to(device)
    found = {}
    for name in ("LBFGS", "SGD"):
        model = fill(torch.nn.Linear(3, 1)).to(device)
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1)
        found[name] = fit(model, optimizer, x, y)[:12]
    w = torch.zeros(3, 1, requires_grad=True, device=device)
    by_hand = []
    for _ in range(3):
        loss = (x.mm(w) - y).pow(2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
        by_hand.append(loss.item())
    report(by_hand=by_hand, **found)


if __name__ == "__main__":
    main()
