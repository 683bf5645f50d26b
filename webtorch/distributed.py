"""PyTorch's place for training on several machines, which is not available: `is_available` says so, and everything else
raises MissingNameError with what to do instead."""

from __future__ import annotations

from typing import Any

from .errors import MissingNameError

__all__ = [
    "is_available", "is_gloo_available", "is_initialized", "is_mpi_available", "is_nccl_available",
    "is_torchelastic_launched",
]  # fmt: skip


def is_available() -> bool:
    """False: there is one process and one GPU.

    >>> is_available()
    False
    """
    return False


is_initialized = is_nccl_available = is_gloo_available = is_mpi_available = is_torchelastic_launched = is_available

_NAMES = """
    all_gather all_gather_into_tensor all_gather_object all_reduce all_to_all all_to_all_single barrier broadcast
    broadcast_object_list destroy_process_group gather gather_object get_backend get_rank get_world_size init_process_group
    irecv isend monitored_barrier new_group recv reduce reduce_scatter reduce_scatter_tensor scatter scatter_object_list send
""".split()


def _missing(name: str) -> Any:
    def call(*args: Any, **given: Any) -> Any:
        raise MissingNameError(
            f"distributed.{name}: there are no process groups here, is_available() is False; run the program in one process "
            "(without torchrun, or with its option for one device)"
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Raises MissingNameError: there are no process groups here."
    return call


globals().update({_name: _missing(_name) for _name in _NAMES})
