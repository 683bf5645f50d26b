"""Trains the network of examples/load_checkpoint.py in PyTorch and saves it as examples/data/digits_cnn.pt:

    python tests/record_example_checkpoint.py

The example's own lines are what is run: here `webtorch` is another name for PyTorch.
"""

import pathlib
import sys

import torch

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    sys.modules["webtorch"] = torch
    sys.path.insert(0, str(EXAMPLES))
    import digit_images
    import load_checkpoint

    images, labels, test_images, test_labels = digit_images.load()
    torch.manual_seed(0)
    model = load_checkpoint.DigitNetwork()
    epochs = 20
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        scores = model(test_images)
    accuracy = 100 * (scores.argmax(1) == test_labels).double().mean().item()
    checkpoint = {
        "version": torch.__version__.split("+")[0],
        "epoch": epochs,
        "model": model.state_dict(),
        "outputs": scores[:20].clone(),
        "accuracy": accuracy,
    }
    torch.save(checkpoint, load_checkpoint.CHECKPOINT)
    print(f"{load_checkpoint.CHECKPOINT}: {load_checkpoint.CHECKPOINT.stat().st_size:,} bytes, {accuracy:.2f} %")


if __name__ == "__main__":
    main()
