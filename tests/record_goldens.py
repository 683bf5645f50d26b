"""Write what PyTorch makes of the elementwise cases to goldens/elementwise.npz: `python tests/record_goldens.py`.

Needs torch; the tests that read the file do not. A case that PyTorch refuses is recorded by its name only.
"""

import pathlib
import warnings
from typing import Any

import numpy as np
from elementwise_cases import Case, cases

FILE = pathlib.Path(__file__).parent / "goldens" / "elementwise.npz"


def pytorch(case: Case, arrays: list) -> np.ndarray | None:
    """PyTorch's result as an array; None where it raises."""
    import torch
    import torch.nn.functional

    def call(name: str, *operands: Any, **keywords: Any) -> Any:
        if name.startswith("frexp_"):
            return getattr(torch.frexp(*operands), name.removeprefix("frexp_"))
        return (getattr(torch, name, None) or getattr(torch.nn.functional, name))(*operands, **keywords)

    operands = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arrays]
    try:
        return call(case.name, *operands, **dict(case.keywords)).numpy()
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None


def main() -> None:
    warnings.simplefilter("ignore")
    results: dict[str, np.ndarray] = {}
    refused = []
    for case in cases():
        result = pytorch(case, case.arrays())
        if result is None:
            refused.append(case.key)
        else:
            results[case.key] = result
    np.savez_compressed(FILE, refused=np.array(refused), **results)
    print(f"{FILE}: {len(results)} results, {len(refused)} refusals, {FILE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
