"""Write what PyTorch makes of the calls in meaning_cases.py to goldens/meaning.npz: `python tests/record_meaning.py`.

Needs torch; the tests that read the file do not.
"""

import pathlib
import warnings

import numpy as np
from meaning_cases import ERRORS, cases, evaluate, pytorch

FILE = pathlib.Path(__file__).parent / "goldens" / "meaning.npz"


def main() -> None:
    warnings.simplefilter("ignore")
    torch = pytorch()
    arrays: dict[str, np.ndarray] = {}
    names, errors, counts = [], [], []
    for number, case in enumerate(cases()):
        error, results = evaluate(case, torch.module, torch.functional, torch.make)
        names.append(case)
        errors.append("" if error is None else next(kind.__name__ for kind in ERRORS if isinstance(error, kind)))
        counts.append(len(results))
        arrays.update({f"{number}.{part}": array for part, array in enumerate(results)})
    np.savez_compressed(FILE, names=np.array(names), errors=np.array(errors), counts=np.array(counts), **arrays)
    print(f"{FILE}: {len(names)} calls, {sum(map(bool, errors))} of them errors, {FILE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
