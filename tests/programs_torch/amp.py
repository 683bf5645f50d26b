"""Training in mixed precision: autocast in bfloat16, a gradient scaler, unscaled gradients clipped."""

import torch
import torch.nn as nn
from seeded import fill, integers, normal, report
from torch.amp import GradScaler, autocast

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main():
    model = fill(nn.Sequential(nn.Linear(12, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler(device.type, init_scale=1024.0)
    x, y = normal(1, 16, 12).to(device), integers(2, 4, 16).to(device)
    losses, sixteen = [], []
    for _ in range(4):
        optimizer.zero_grad()
        with autocast(device_type=device.type, dtype=torch.bfloat16):
            output = model(x)
            loss = nn.functional.cross_entropy(output.float(), y)
        sixteen.append(output.dtype == torch.bfloat16)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    report(losses_of_sixteen_bits=losses, sixteen=sixteen, scale=[scaler.get_scale()])


if __name__ == "__main__":
    main()
