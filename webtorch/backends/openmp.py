"""Questions about a library of threads, which webtorch does not use."""


def is_available() -> bool:
    """False: it is not used.

    >>> is_available()
    False
    """
    return False
