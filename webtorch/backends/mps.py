"""Whether there is a GPU, under the name of Apple's."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is a GPU that a program should use, whatever its make: see `webtorch.devices.accelerator`.

    >>> is_available() in (True, False)
    True
    """
    from webtorch.devices import accelerator

    return accelerator() is not None


def is_built() -> bool:
    """Whether `is_available` can be true.

    >>> is_built()
    True
    """
    return True


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether this is macOS of at least that version.

    >>> is_macos_or_newer(999, 0)
    False
    """
    import platform

    version = platform.mac_ver()[0]
    return bool(version) and tuple(map(int, version.split(".")[:2])) >= (major, minor)
