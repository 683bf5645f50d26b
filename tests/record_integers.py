"""Write what PyTorch makes of the integer cases to goldens/integers.npz: `python tests/record_integers.py`.

Needs torch; the tests that read the file do not.
"""

import pathlib
from typing import Any

import integer_cases
import numpy as np

FILE = pathlib.Path(__file__).parent / "goldens" / "integers.npz"


def pytorch(text: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    import torch

    names = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    result: Any = eval(text, {"W": torch}, names)
    return result.numpy()


def main() -> None:
    results = {f"{name} {text}": pytorch(text, arrays) for name, text, arrays in integer_cases.cases()}
    np.savez_compressed(FILE, **results)
    print(f"{FILE}: {len(results)} results, {FILE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
