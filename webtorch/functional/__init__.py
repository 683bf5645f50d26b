"""Compounds: functions written in terms of rows. What is differentiable below is differentiable here."""

from .layout import (
    broadcast_tensors,
    broadcast_to,
    cat,
    chunk,
    clone,
    contiguous,
    detach,
    expand_as,
    flatten,
    movedim,
    reshape,
    split,
    stack,
    tril,
    triu,
    unbind,
)
from .method import METHODS as METHODS
from .method import method as method
from .products import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
    bmm,
    chain_matmul,
    dot,
    ger,
    inner,
    kron,
    matmul,
    mm,
    mv,
    outer,
    tensordot,
    vdot,
)
from .reductions import (
    aminmax,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    norm,
    renorm,
    std,
    std_mean,
    var,
    var_mean,
)
from .whole import (
    allclose,
    dropout,
    equal,
    glu,
    isclose,
    isin,
    linear,
    rrelu,
    softmin,
)

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "allclose", "aminmax", "argmax", "argmin", "baddbmm", "bmm", "broadcast_tensors",
    "broadcast_to", "cat", "chain_matmul", "chunk", "clone", "count_nonzero", "dot", "dropout", "equal", "flatten", "ger",
    "glu", "inner", "isclose", "isin", "kron", "linear", "logsumexp", "matmul", "max", "mean", "min", "mm", "movedim", "mv", "nanmean",
    "nansum", "norm", "outer", "renorm", "reshape", "rrelu", "softmin", "split", "stack", "std", "std_mean", "tensordot", "tril", "triu",
    "unbind", "var", "var_mean", "vdot", "detach", "contiguous", "expand_as",
]  # fmt: skip


def __getattr__(name: str):
    """What PyTorch programs look for here and is at home elsewhere: `einsum`, and the functions of `nn.functional`."""
    import webtorch

    if not name.startswith("_"):
        for place in (vars(webtorch), vars(webtorch.nn.functional)):
            if callable(place.get(name)):
                return place[name]
    raise AttributeError(f"module 'webtorch.functional' has no attribute {name!r}")
