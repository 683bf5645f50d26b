"""The library that behavioural tests run on: webtorch, or with WEBTORCH_TEST_AGAINST=torch PyTorch.

A test that passes on both tests PyTorch's meaning and not only what webtorch happens to do. Tests take the library as

    from lib import W

and say of what PyTorch has not, or means otherwise, `@only_webtorch("why")`.
"""

import os
from types import SimpleNamespace

import pytest

AGAINST = os.environ.get("WEBTORCH_TEST_AGAINST", "webtorch")


def in_block(scope, function):
    with scope:
        return function()


def torch_with_callable_forms():
    """PyTorch, with the callable forms of the modes made from its blocks."""
    import torch
    import torch.func
    import torch.utils.checkpoint

    names = {name: getattr(torch, name) for name in dir(torch) if not name.startswith("__")}
    for name in ("no_grad", "enable_grad"):
        mode = getattr(torch, name)
        names[name] = lambda function=None, mode=mode: mode() if function is None else in_block(mode(), function)
    names["inference_mode"] = lambda mode=True: (
        torch.inference_mode(mode) if isinstance(mode, bool) else in_block(torch.inference_mode(), mode)
    )
    names["grad_mode"] = lambda mode, function: in_block(torch.set_grad_enabled(mode), function)
    return SimpleNamespace(**names)


def chosen():
    if AGAINST == "torch":
        pytest.importorskip("torch")
        return torch_with_callable_forms()
    if AGAINST != "webtorch":
        raise ValueError(f"WEBTORCH_TEST_AGAINST={AGAINST!r}: expected 'webtorch' or 'torch'")
    import webtorch

    return webtorch


W = chosen()


def only_webtorch(why: str):
    """Mark a test of something that PyTorch has not, or means otherwise."""
    return pytest.mark.skipif(AGAINST != "webtorch", reason=f"webtorch only: {why}")


def listed(tree):
    """Tensors in a tree of tuples, lists and dicts as nested lists of numbers."""
    if isinstance(tree, dict):
        return {name: listed(value) for name, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return [listed(value) for value in tree]
    return tree.detach().tolist() if hasattr(tree, "tolist") else tree


def near(tree, expected, tolerance: float = 1e-5) -> bool:
    """True when the tensors in a tree hold the expected numbers; for `assert`."""
    return close(listed(tree), expected, tolerance)


def close(found, expected, tolerance: float) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            close(found[name], expected[name], tolerance) for name in expected
        )
    if isinstance(expected, (tuple, list)):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(close(one, other, tolerance) for one, other in zip(found, expected, strict=True))
        )
    return found == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True)
