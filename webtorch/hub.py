"""PyTorch's place for models from the network: nothing is downloaded and no code of others is run, so every call raises
MissingNameError with what to do instead."""

from __future__ import annotations

from typing import Any

from .errors import MissingNameError

_NAMES = ("download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir")


def _missing(name: str) -> Any:
    def call(*args: Any, **given: Any) -> Any:
        raise MissingNameError(
            f"hub.{name}: webtorch downloads nothing and runs no code of others; fetch the file yourself and load its weights "
            "with torch.load(file), into a module written in Python"
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Raises MissingNameError: nothing is downloaded."
    return call


globals().update({_name: _missing(_name) for _name in _NAMES})
