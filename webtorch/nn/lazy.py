"""Lazy modules: their input's size is learnt from the first input, and they become the plain modules then."""

from __future__ import annotations

from typing import Any

from .. import creation
from ..tensor import Tensor
from . import convolution, layers, normalization
from .module import Buffer, Parameter

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d",
    "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear",
    "UninitializedBuffer", "UninitializedParameter",
]  # fmt: skip


class UninitializedTensorMixin:
    """A tensor whose shape is not known yet: `materialize` gives it one."""

    cls_to_become: Any = None

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become a plain parameter or buffer of this shape, its values not set."""
        own: Any = self
        fresh = creation.empty(
            *tuple(shape), device=own.device if device is None else device, dtype=own.dtype if dtype is None else dtype
        )
        own.__class__ = self.cls_to_become
        own._storage, own._shape, own._strides, own._offset = (
            fresh._storage,
            fresh._shape,
            fresh._strides,
            fresh._offset,
        )

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when "
            "trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before "
            "accessing their attributes."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def share_memory_(self) -> Any:
        """Not before the shape is known."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize it first."
        )


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape is not known yet.

    >>> import webtorch
    >>> parameter = webtorch.nn.UninitializedParameter()
    >>> parameter.materialize((2, 3))
    >>> parameter.shape
    webtorch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return Parameter.__new__(cls, creation.empty(0, device=device, dtype=dtype), requires_grad)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, str(self.device), self.dtype)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):  # type: ignore[misc]
    """A buffer whose shape is not known yet."""

    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        return Buffer.__new__(cls, creation.empty(0, device=device, dtype=dtype), persistent=persistent)

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(False, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (False, str(self.device), self.dtype)


def is_uninitialized(value: Any) -> bool:
    return isinstance(value, UninitializedTensorMixin)


class LazyModuleMixin:
    """What lazy modules share. A subclass says which class it becomes, and takes the size from an input in `measure`."""

    cls_to_become: Any = None

    def measure(self, input: Tensor) -> None:
        """Set the sizes that this first input tells, and give the parameters their shapes."""
        raise NotImplementedError

    def has_uninitialized_params(self) -> bool:
        """Whether some parameter or buffer has no shape yet."""
        own: Any = self
        return any(is_uninitialized(value) for value in (*own._parameters.values(), *own._buffers.values()))

    def initialize_parameters(self, input: Tensor) -> None:
        """Take the sizes from an input, and draw the initial values, if that has not been done."""
        if self.has_uninitialized_params():
            self.measure(input)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own: Any = self
        input = args[0] if args else kwargs["input"]
        if self.has_uninitialized_params():
            self.measure(input)
        own.__class__ = self.cls_to_become
        return own(*args, **kwargs)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        own: Any = self
        for kind in (own._parameters, own._buffers):
            for name, value in kind.items():
                if value is None or (kind is own._buffers and name in own._non_persistent_buffers_set):
                    continue
                destination[prefix + name] = value if keep_vars or is_uninitialized(value) else value.detach()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *rest: Any) -> None:
        own: Any = self
        for kind in (own._parameters, own._buffers):
            for name, value in kind.items():
                given = state_dict.get(prefix + name)
                if is_uninitialized(value) and given is not None and not is_uninitialized(given):
                    value.materialize(tuple(given.shape))
        if any(is_uninitialized(value) for key, value in state_dict.items() if key.startswith(prefix)):
            state_dict = {key: value for key, value in state_dict.items() if not is_uninitialized(value)}
            own.__class__._plain_load(own, state_dict, prefix, rest[0], False, *rest[2:])
            return
        own.__class__._plain_load(own, state_dict, prefix, *rest)

    def _plain_load(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)  # type: ignore[misc]


def uninitialize(module: Any, *names: str) -> None:
    """Replace some of a module's parameters and buffers by ones without a shape."""
    for name in names:
        value = getattr(module, name)
        if value is None:
            continue
        kind = UninitializedParameter if isinstance(value, Parameter) else UninitializedBuffer
        members = module._parameters if name in module._parameters else module._buffers
        members[name] = kind(device=value.device, dtype=value.dtype)


class LazyLinear(LazyModuleMixin, layers.Linear):
    """A `Linear` whose in_features is the last size of its first input.

    >>> import webtorch
    >>> layer = webtorch.nn.LazyLinear(3)
    >>> layer(webtorch.rand(2, 5)).shape, layer
    (webtorch.Size([2, 3]), Linear(in_features=5, out_features=3, bias=True))
    """

    cls_to_become = layers.Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(1, out_features, bias, device, dtype)
        self.in_features = 0
        uninitialize(self, "weight", "bias")

    def measure(self, input: Tensor) -> None:
        self.in_features = input._shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        layers.Linear.reset_parameters(self)


class LazyConv(LazyModuleMixin):
    """The channels of the input are those of the first one."""

    dims = 0
    transposed = False

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        groups = kwargs.get("groups", 1)
        place = 4 if self.transposed else 3
        if len(args) > place:
            groups = args[place]
        super().__init__(groups, out_channels, kernel_size, *args, **kwargs)  # type: ignore[call-arg]
        self.in_channels = 0
        uninitialize(self, "weight", "bias")

    def measure(self, input: Tensor) -> None:
        own: Any = self
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise RuntimeError(
                f"Expected {self.dims + 1}D (unbatched) or {self.dims + 2}D (batched) input to {type(self).__name__}, but got input of "
                f"size: {input.shape}"
            )
        own.in_channels = input._shape[-self.dims - 1]
        if own.in_channels % own.groups:
            raise ValueError("in_channels must be divisible by groups")
        outer = (
            (own.in_channels, own.out_channels // own.groups)
            if self.transposed
            else (own.out_channels, own.in_channels // own.groups)
        )
        own.weight.materialize((*outer, *own.kernel_size))
        if own.bias is not None:
            own.bias.materialize((own.out_channels,))
        self.cls_to_become.reset_parameters(self)


class LazyConv1d(LazyConv, convolution.Conv1d):
    """A `Conv1d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConv1d(4, 2)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 4, 4])
    """

    cls_to_become, dims = convolution.Conv1d, 1


class LazyConv2d(LazyConv, convolution.Conv2d):
    """A `Conv2d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConv2d(4, 3)(webtorch.rand(1, 2, 8, 8)).shape
    webtorch.Size([1, 4, 6, 6])
    """

    cls_to_become, dims = convolution.Conv2d, 2


class LazyConv3d(LazyConv, convolution.Conv3d):
    """A `Conv3d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConv3d(4, 2)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 4, 4, 4, 4])
    """

    cls_to_become, dims = convolution.Conv3d, 3


class LazyConvTranspose1d(LazyConv, convolution.ConvTranspose1d):
    """A `ConvTranspose1d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConvTranspose1d(4, 2)(webtorch.rand(2, 3, 5)).shape
    webtorch.Size([2, 4, 6])
    """

    cls_to_become, dims, transposed = convolution.ConvTranspose1d, 1, True


class LazyConvTranspose2d(LazyConv, convolution.ConvTranspose2d):
    """A `ConvTranspose2d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConvTranspose2d(4, 2)(webtorch.rand(2, 3, 5, 5)).shape
    webtorch.Size([2, 4, 6, 6])
    """

    cls_to_become, dims, transposed = convolution.ConvTranspose2d, 2, True


class LazyConvTranspose3d(LazyConv, convolution.ConvTranspose3d):
    """A `ConvTranspose3d` whose in_channels is that of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyConvTranspose3d(4, 2)(webtorch.rand(2, 3, 5, 5, 5)).shape
    webtorch.Size([2, 4, 6, 6, 6])
    """

    cls_to_become, dims, transposed = convolution.ConvTranspose3d, 3, True


class LazyNorm(LazyModuleMixin):
    """The features are the channels of the first input."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(1, *args, **kwargs)  # type: ignore[call-arg]
        self.num_features = 0
        uninitialize(self, "weight", "bias", "running_mean", "running_var")

    def measure(self, input: Tensor) -> None:
        own: Any = self
        own.check_input(input)
        unbatched = isinstance(own, normalization.InstanceNorm) and input.ndim == own.dims[0]
        own.num_features = input._shape[0 if unbatched else 1]
        for name in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(own, name)
            if value is not None:
                value.materialize((own.num_features,))
        self.cls_to_become.reset_parameters(self)


class LazyBatchNorm1d(LazyNorm, normalization.BatchNorm1d):
    """A `BatchNorm1d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyBatchNorm1d()(webtorch.rand(2, 3, 2)).shape
    webtorch.Size([2, 3, 2])
    """

    cls_to_become = normalization.BatchNorm1d


class LazyBatchNorm2d(LazyNorm, normalization.BatchNorm2d):
    """A `BatchNorm2d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyBatchNorm2d()(webtorch.rand(2, 3, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2])
    """

    cls_to_become = normalization.BatchNorm2d


class LazyBatchNorm3d(LazyNorm, normalization.BatchNorm3d):
    """A `BatchNorm3d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyBatchNorm3d()(webtorch.rand(2, 3, 2, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2, 2])
    """

    cls_to_become = normalization.BatchNorm3d


class LazyInstanceNorm1d(LazyNorm, normalization.InstanceNorm1d):
    """An `InstanceNorm1d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyInstanceNorm1d()(webtorch.rand(2, 3, 2)).shape
    webtorch.Size([2, 3, 2])
    """

    cls_to_become = normalization.InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, normalization.InstanceNorm2d):
    """An `InstanceNorm2d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyInstanceNorm2d()(webtorch.rand(2, 3, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2])
    """

    cls_to_become = normalization.InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, normalization.InstanceNorm3d):
    """An `InstanceNorm3d` whose num_features is the channels of its first input.

    >>> import webtorch
    >>> webtorch.nn.LazyInstanceNorm3d()(webtorch.rand(2, 3, 2, 2, 2)).shape
    webtorch.Size([2, 3, 2, 2, 2])
    """

    cls_to_become = normalization.InstanceNorm3d
