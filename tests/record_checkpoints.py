"""Writes tests/goldens/checkpoints with PyTorch: files as users have them, and what is in them. Run it with PyTorch installed."""

import json
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "goldens" / "checkpoints"


def listed(value):
    if isinstance(value, torch.Tensor):
        numbers = torch.view_as_real(value.resolve_conj()).tolist() if value.is_complex() else value.tolist()
        return {
            "tensor": numbers, "dtype": str(value.dtype), "requires_grad": value.requires_grad,
            "stride": list(value.stride()), "parameter": isinstance(value, torch.nn.Parameter),
        }  # fmt: skip
    if isinstance(value, dict):
        return {str(key): listed(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [listed(each) for each in value]
    return value if isinstance(value, (int, float, str, type(None))) else repr(value).replace("torch.", "")


def trained():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(2):
        model(torch.randn(5, 3)).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    return {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
        "epoch": 2, "best": 0.5, "name": "größe", "nothing": None, "shape": torch.Size([2, 3]), "done": True,
    }  # fmt: skip


def every_dtype():
    names = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()
    return {name: torch.tensor([[0, 1, 2], [3, 4, 100]]).to(getattr(torch, name)) for name in names}


def views():
    whole = torch.arange(12.0).reshape(3, 4)
    marked = torch.nn.Parameter(torch.ones(2))
    marked.note = "kept"
    return {
        "whole": whole, "transposed": whole.t(), "row": whole[1], "step": whole[::2, 1:], "expanded": whole[0, :1].expand(3),
        "scalar": torch.tensor(7), "empty": torch.zeros(0, 3), "leaf": torch.ones(2, requires_grad=True),
        "parameter": torch.nn.Parameter(whole), "frozen": torch.nn.Parameter(torch.ones(1), requires_grad=False),
        "conjugate": torch.tensor([1 + 2j]).conj(), "marked": marked, "bytes": b"\x00\xff", "big": 2**70, "negative": -(2**40),
        "complex": 1 + 2j, "set": {3}, "dtype": torch.bfloat16, "tuple": (1, (2, [3])),
    }  # fmt: skip


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    contents = {"trained": trained(), "dtypes": every_dtype(), "views": views()}
    for name, value in contents.items():
        torch.save(value, FOLDER / f"{name}.pt")
        torch.save(value, FOLDER / f"{name}_legacy.pt", _use_new_zipfile_serialization=False)
    text = json.dumps({name: listed(value) for name, value in contents.items()}, indent=1)
    (FOLDER / "contents.json").write_text(text + "\n")
