"""Methods of tensors that are functions of other modules: each calls the function of its name in `webtorch`."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .tensor import Tensor

FUNCTIONS = """
    aminmax broadcast_to igamma igammac is_nonzero kron moveaxis mvlgamma swapaxes swapdims
"""


def _attach(name: str) -> None:
    def method(self: Tensor, *args: Any, **given: Any) -> Any:
        import webtorch

        return getattr(webtorch, name)(self, *args, **given)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`webtorch.{name}` of this tensor."
    setattr(Tensor, name, method)


def _convert(name: str, dtype: dtypes.dtype) -> None:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.to(dtype)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The tensor converted to {dtype.name}."
    setattr(Tensor, name, method)


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the elements whose indices are all equal, in place. With `wrap`, the diagonal of a tall matrix starts again.

    Raises RuntimeError for fewer than two dimensions, and for more when they differ in size.

    >>> import webtorch
    >>> webtorch.zeros(2, 3).fill_diagonal_(1)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise RuntimeError(
            f"fill_diagonal_ of shape {list(self.shape)}: expected two dimensions, or more of the same size each"
        )
    step = sum(self.stride())
    count = min(self.shape)
    if count:
        self.as_strided((count,), (step,), self.storage_offset()).fill_(fill_value)
    rows, columns = self.shape[0], self.shape[1]
    if wrap and self.ndim == 2 and rows > columns + 1:
        for start in range(columns + 1, rows, columns + 1):
            self[start:].fill_diagonal_(fill_value)
    return self


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The tensor summed over the dimensions in which it was broadcast from `size`.

    >>> import webtorch
    >>> webtorch.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    sizes = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    extra = self.ndim - len(sizes)
    if extra < 0 or any(wanted not in (1, have) for wanted, have in zip(sizes, self.shape[extra:])):
        raise RuntimeError(f"sum_to_size: size {list(sizes)} is not expandable to size {list(self.shape)}")
    if not sizes:
        return self.sum()
    kept = [dim + extra for dim, wanted in enumerate(sizes) if wanted == 1 and self.shape[dim + extra] != 1]
    dims = [*range(extra), *kept]
    return (self.sum(dims, keepdim=True) if dims else self).reshape(sizes)


def polygamma(self: Tensor, n: int) -> Tensor:
    """`webtorch.polygamma(n, self)`.

    >>> import webtorch
    >>> webtorch.tensor(1.0).polygamma(1)
    tensor(1.6449)
    """
    import webtorch

    return webtorch.polygamma(n, self)


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place form of `float_power`, for float64 and complex128 alone: the result is.

    >>> import webtorch
    >>> webtorch.tensor([3.0], dtype=webtorch.float64, device="cpu").float_power_(2)
    tensor([9.], dtype=webtorch.float64)
    """
    if self.dtype not in (dtypes.float64, dtypes.complex128):
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype} but the operation's result requires dtype float64; use pow_"
        )
    return _write("float_power_", lambda x, power: x.float_power(power))(self, exponent)


def conj_physical_(self: Tensor) -> Tensor:
    """Replace each element by its conjugate.

    >>> import webtorch
    >>> webtorch.tensor([1 + 2j]).conj_physical_()
    tensor([1.-2.j])
    """
    return (
        self.copy_(self.detach().conj().clone())
        if not self.requires_grad
        else _write("conj_physical_", lambda x: x.conj())(self)
    )


def as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """Make the tensor another view of its own memory.

    >>> import webtorch
    >>> webtorch.arange(4).as_strided_((2,), (2,))
    tensor([0, 2])
    """
    view = self.as_strided(size, stride, storage_offset)
    self._shape, self._strides, self._offset = view._shape, view._strides, view._offset
    self._grad_fn, self._output_number = view._grad_fn, view._output_number
    return self


def _write(name: str, function: Any) -> Any:
    from .autograd import inplace

    def method(self: Tensor, *args: Any, **given: Any) -> Tensor:
        return inplace.apply(function, self, args, given, name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place form of `{name[:-1]}`: writes the result into the tensor and returns it."
    return method


def _written(name: str) -> Any:
    def function(self: Tensor, *args: Any, **given: Any) -> Tensor:
        return getattr(self.clone(), name)(*args, **given)  # derivatives may need views of the old value

    return _write(f"{name}_", function)


for _name in "igamma igammac mvlgamma polygamma put renorm".split():
    setattr(Tensor, f"{_name}_", _written(_name))
for _name in ("swapaxes_", "swapdims_"):
    setattr(Tensor, _name, Tensor.transpose_)  # type: ignore[attr-defined]
for _name in FUNCTIONS.split():
    if not hasattr(Tensor, _name):
        _attach(_name)
_convert("cfloat", dtypes.complex64)
_convert("cdouble", dtypes.complex128)
for _method in (fill_diagonal_, sum_to_size, polygamma, float_power_, conj_physical_, as_strided_):
    setattr(Tensor, _method.__name__, _method)

__all__: list[str] = []
