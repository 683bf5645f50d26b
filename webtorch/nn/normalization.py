"""Normalisation modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import capture, creation, dtypes
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d",
    "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm",
    "LocalResponseNorm", "RMSNorm", "SyncBatchNorm",
]  # fmt: skip


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last dimensions, then a learnt weight and bias of that shape.

    >>> import webtorch
    >>> webtorch.nn.LayerNorm(4)
    LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (
            tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (int(normalized_shape),)
        )
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        make = {"device": device, "dtype": dtype}
        self.register_parameter(
            "weight", Parameter(creation.empty(*self.normalized_shape, **make)) if elementwise_affine else None
        )
        self.register_parameter(
            "bias", Parameter(creation.empty(*self.normalized_shape, **make)) if elementwise_affine and bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights 1, biases 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """The input divided by the root of its mean square over the last dimensions, then a learnt weight.

    >>> import webtorch
    >>> webtorch.nn.RMSNorm(4)
    RMSNorm((4,), eps=None, elementwise_affine=True)
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (
            tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (int(normalized_shape),)
        )
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter(
            "weight",
            Parameter(creation.empty(*self.normalized_shape, device=device, dtype=dtype))
            if elementwise_affine
            else None,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Mean 0 and variance 1 over groups of channels, then a learnt weight and bias per channel.

    >>> import webtorch
    >>> webtorch.nn.GroupNorm(2, 6)(webtorch.ones(1, 6, 4)).shape
    webtorch.Size([1, 6, 4])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter(
            "weight", Parameter(creation.empty(num_channels, device=device, dtype=dtype)) if affine else None
        )
        self.register_parameter(
            "bias", Parameter(creation.empty(num_channels, device=device, dtype=dtype)) if affine and bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights 1, biases 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class Statistics(Module):
    """What batch and instance normalisation share: learnt weight and bias, running mean and variance."""

    dims: tuple[int, ...] = ()
    _version = 2  # since version 2 the batches are counted

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        make = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(creation.empty(num_features, **make)) if affine else None)
        self.register_parameter("bias", Parameter(creation.empty(num_features, **make)) if affine and bias else None)
        self.register_buffer("running_mean", creation.zeros(num_features, **make) if track_running_stats else None)
        self.register_buffer("running_var", creation.ones(num_features, **make) if track_running_stats else None)
        counter = creation.tensor(0, dtype=dtypes.int64, device="cpu") if track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Running mean 0, running variance 1, no batch seen."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weights 1, biases 0, and the running statistics as at first."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Statistics:
        """The counter of batches stays on the cpu: it costs no kernel there."""
        counter, self._buffers["num_batches_tracked"] = self._buffers["num_batches_tracked"], None
        try:
            super()._apply(fn, recurse)
        finally:
            self._buffers["num_batches_tracked"] = counter
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, *rest: Any) -> None:
        key = prefix + "num_batches_tracked"
        if self.track_running_stats and (local_metadata.get("version") or 1) < 2 and key not in state_dict:
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def check_input(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            raise ValueError(f"expected {' or '.join(f'{dim}D' for dim in self.dims)} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm(Statistics):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_input(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats:
            capture.each_time(lambda: self.num_batches_tracked.add_(1))
            if self.momentum is None:  # the plain average over all batches
                momentum = 1.0 / capture.live(lambda: float(self.num_batches_tracked.item()))
        by_batch = self.training or self.running_mean is None
        keep = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """Mean 0 and variance 1 per channel of (n, c) or (n, c, l) over the batch; in evaluation, by running statistics.

    >>> import webtorch
    >>> webtorch.nn.BatchNorm1d(3)(webtorch.rand(8, 3)).shape
    webtorch.Size([8, 3])
    """

    dims = (2, 3)


class BatchNorm2d(BatchNorm):
    """Mean 0 and variance 1 per channel of (n, c, h, w) over the batch; in evaluation, by running statistics.

    >>> import webtorch
    >>> webtorch.nn.BatchNorm2d(3)
    BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    dims = (4,)


class BatchNorm3d(BatchNorm):
    """Mean 0 and variance 1 per channel of (n, c, d, h, w) over the batch; in evaluation, by running statistics.

    >>> import webtorch
    >>> webtorch.nn.BatchNorm3d(2)(webtorch.rand(3, 2, 2, 2, 2)).shape
    webtorch.Size([3, 2, 2, 2, 2])
    """

    dims = (5,)


class SyncBatchNorm(BatchNorm):
    """Batch normalisation over (n, c, ...): with one process it is the plain one.

    >>> import webtorch
    >>> webtorch.nn.SyncBatchNorm(3)(webtorch.rand(2, 3, 4, 4)).shape
    webtorch.Size([2, 3, 4, 4])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def check_input(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The same tree with every batch normalisation replaced by this class, sharing its parameters and buffers."""
        result = module
        if isinstance(module, BatchNorm) and not isinstance(module, cls):
            made = cls(
                module.num_features,
                module.eps,
                module.momentum,
                module.affine,
                module.track_running_stats,
                process_group,
            )
            made._parameters.update(module._parameters)
            made._buffers.update(module._buffers)
            made.training = module.training
            result = made
        for name, child in module.named_children():
            result._modules[name] = cls.convert_sync_batchnorm(child, process_group)
        return result


class InstanceNorm(Statistics):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self.check_input(input)
        unbatched = input.ndim == self.dims[0]
        x = input.unsqueeze(0) if unbatched else input
        by_input = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        result = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, by_input, momentum, self.eps
        )
        return result.squeeze(0) if unbatched else result


class InstanceNorm1d(InstanceNorm):
    """Mean 0 and variance 1 of each channel of each example of (n, c, l).

    >>> import webtorch
    >>> webtorch.nn.InstanceNorm1d(3)(webtorch.rand(2, 3, 2)).shape
    webtorch.Size([2, 3, 2])
    """

    dims = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Mean 0 and variance 1 of each channel of each example of (n, c, h, w).

    >>> import webtorch
    >>> webtorch.nn.InstanceNorm2d(3)(webtorch.rand(2, 3, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2])
    """

    dims = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Mean 0 and variance 1 of each channel of each example of (n, c, d, h, w).

    >>> import webtorch
    >>> webtorch.nn.InstanceNorm3d(3)(webtorch.rand(2, 3, 2, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2, 2])
    """

    dims = (4, 5)


class LocalResponseNorm(Module):
    """Each element divided by a power of the mean square of its neighbours in the channel dimension.

    >>> import webtorch
    >>> webtorch.nn.LocalResponseNorm(2, alpha=2.0, beta=1.0)(webtorch.ones(1, 2, 1)).flatten()
    tensor([0.5000, 0.3333])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(LocalResponseNorm):
    """`LocalResponseNorm`, by its old name.

    >>> import webtorch
    >>> webtorch.nn.CrossMapLRN2d(2, alpha=2.0, beta=1.0)(webtorch.ones(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.3333])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__(size, alpha, beta, k)
