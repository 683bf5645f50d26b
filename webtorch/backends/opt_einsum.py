"""Switches of the order in which `einsum` contracts, which webtorch chooses itself."""

enabled = True
strategy = "auto"


def is_available() -> bool:
    """False: the package of that name is not used.

    >>> is_available()
    False
    """
    return False
