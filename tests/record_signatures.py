"""Write tests/goldens/signatures.json: of each function that PyTorch and webtorch both have at top level the names of
PyTorch's arguments in order (of its first overload), which of them are keywords only, and whether its documentation has
`out`.

python tests/record_signatures.py (needs PyTorch, which the test does not)
"""

import inspect
import json
import pathlib

import torch

import webtorch


def described(name):
    try:
        packet = getattr(torch.ops.aten, name)
        schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    except (AttributeError, RuntimeError):
        return None
    first = schemas[0]
    kept = [
        one for one in first.arguments if one.name not in ("dtype", "layout", "device", "pin_memory", "memory_format")
    ]
    rename = {"self": "input"}
    return {
        "positional": [rename.get(one.name, one.name) for one in kept if not one.kwarg_only],
        "keywords": [one.name for one in kept if one.kwarg_only and not one.is_out],
        "out": "out=" in (getattr(torch, name).__doc__ or "").strip().partition("\n")[0],
    }


def main() -> None:
    found = {}
    for name in sorted(set(dir(torch)) & set(dir(webtorch))):
        value = getattr(torch, name)
        if name.startswith("_") or name.endswith("_") or not callable(value) or inspect.isclass(value):
            continue
        description = described(name)
        if description is not None:
            found[name] = description
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items()]
    path = pathlib.Path(__file__).parent / "goldens" / "signatures.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
