"""What kind of processor PyTorch's kernels for the cpu were compiled for; here numpy computes."""


def get_cpu_capability() -> str:
    """ "DEFAULT": numpy chooses its own instructions.

    >>> get_cpu_capability()
    'DEFAULT'
    """
    return "DEFAULT"
