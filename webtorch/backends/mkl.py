"""Questions about Intel's library of linear algebra, which webtorch does not use."""


def is_available() -> bool:
    """False: it is not used.

    >>> is_available()
    False
    """
    return False
