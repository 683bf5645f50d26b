"""Recurrent modules: RNN, LSTM and GRU over sequences, and their single steps."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import creation
from ..errors import ShapeError
from ..tensor import Tensor
from . import init
from .functional.recurrent import GATES, Weights, cell, run_layers
from .module import Module, Parameter
from .utils.rnn import PackedSequence

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]


class RNNBase(Module):
    """What the recurrent layers share: weights `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` ..., states and options."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater "
                f"than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        self.proj_size = proj_size
        rows, out = GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._weight_names: list[list[str]] = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * directions
            for direction in range(directions):
                suffix = f"_l{layer}" + ("_reverse" if direction else "")
                sizes: dict[str, tuple] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                if bias:
                    sizes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    sizes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in sizes.items():
                    setattr(self, name + suffix, Parameter(creation.empty(*shape, device=device, dtype=dtype)))
                self._weight_names.append([name + suffix for name in sizes])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size), weights and biases."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to be done: weights are read where they are."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._weight_names]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [parameter for own in self.all_weights for parameter in own]

    def _layers(self) -> list[list[Weights]]:
        directions = 2 if self.bidirectional else 1
        named = [
            Weights(**{name.split("_l")[0].removeprefix("weight_"): getattr(self, name) for name in names})
            for names in self._weight_names
        ]
        return [named[start : start + directions] for start in range(0, len(named), directions)]

    def check_input(self, input: Tensor, packed: bool) -> None:
        """Raise RuntimeError for inputs that do not fit the layer."""
        wanted = 2 if packed else 3
        if input.ndim != wanted:
            raise ShapeError(f"input must have {wanted} dimensions, got {input.ndim}")
        if input._shape[-1] != self.input_size:
            raise ShapeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input._shape[-1]}"
            )

    def starting_state(self, hx: Any, input: Tensor, batch: int, batched: bool, order: Tensor | None) -> tuple:
        """The states given, checked, or zeros: for each a tensor (layers * directions, batch, features)."""
        widths = [self.proj_size or self.hidden_size]
        if self.mode == "LSTM":
            widths.append(self.hidden_size)
        count = self.num_layers * (2 if self.bidirectional else 1)
        if hx is None:
            return tuple(
                creation.zeros(count, batch, width, dtype=input.dtype, device=input.device) for width in widths
            )
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        names = "hx and cx" if self.mode == "LSTM" else "hx"
        if len(states) != len(widths):
            raise ShapeError(f"{self.mode}: expected {len(widths)} states ({names}), but got {len(states)}")
        if any(state.ndim != (3 if batched else 2) for state in states):
            got = ", ".join(f"{state.ndim}-D" for state in states)
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise ShapeError(
                f"For {kind} input, {names} should also be {3 if batched else 2}-D but got ({got}) tensor"
                + "s" * (len(states) > 1)
            )
        if not batched:
            states = tuple(state.unsqueeze(1) for state in states)
        for place, (state, width) in enumerate(zip(states, widths, strict=True)):
            if state._shape != (count, batch, width):
                label = "Expected hidden size" if len(states) == 1 else f"Expected hidden[{place}] size"
                raise ShapeError(f"{label} {(count, batch, width)}, got {list(state._shape)}")
        return states if order is None else tuple(state.index_select(1, order) for state in states)

    def forward(self, input: Any, hx: Any = None) -> Any:
        packed = isinstance(input, PackedSequence)
        sizes = order = None
        if packed:
            data, batch_sizes, order, _ = input
            self.check_input(data, True)
            sizes = batch_sizes.tolist()
            x, batch, batched = data, int(sizes[0]), True
        else:
            if input.ndim not in (2, 3):
                raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.ndim}D instead")
            batched = input.ndim == 3
            x = input if batched else input.unsqueeze(1)
            if batched and self.batch_first:
                x = x.transpose(0, 1)
            self.check_input(x, False)
            batch = x._shape[1]
            if x._shape[0] == 0:
                raise ShapeError("Expected sequence length to be larger than 0 in RNN")
        start = self.starting_state(hx, x, batch, batched, order)
        output, last = run_layers(self.mode, x, sizes, start, self._layers(), self.dropout, self.training)
        if packed:
            output = input.with_data(output)
            if input.unsorted_indices is not None:
                last = tuple(state.index_select(1, input.unsorted_indices) for state in last)
        elif not batched:
            output, last = output.squeeze(1), tuple(state.squeeze(1) for state in last)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, last if self.mode == "LSTM" else last[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        for name, default in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != default:
                text += f", {name}={value}"
        return text


class RNN(RNNBase):
    """Layers of tanh(x @ W.T + b + h @ U.T + c), or relu with `nonlinearity="relu"`, over sequences.

    Inputs are (time, batch, features), (batch, time, features) with `batch_first`, (time, features), or a
    `PackedSequence`; returns the outputs of all steps and the last hidden state (layers * directions, batch, hidden).

    >>> import webtorch
    >>> output, h = webtorch.nn.RNN(3, 5, num_layers=2)(webtorch.rand(7, 4, 3))
    >>> output.shape, h.shape
    (webtorch.Size([7, 4, 5]), webtorch.Size([2, 4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **rest: Any,
    ) -> None:
        if "proj_size" in rest:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if rest:
            raise TypeError(f"RNN() got an unexpected keyword argument '{next(iter(rest))}'")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Layers of long short-term memory (Hochreiter and Schmidhuber, 1997) over sequences.

    Inputs as for `RNN`; returns the outputs of all steps and the last (hidden, cell) state. With `proj_size` the hidden
    state is projected to that size.

    >>> import webtorch
    >>> output, (h, c) = webtorch.nn.LSTM(3, 5, batch_first=True, bidirectional=True)(webtorch.rand(4, 7, 3))
    >>> output.shape, h.shape, c.shape
    (webtorch.Size([4, 7, 10]), webtorch.Size([2, 4, 5]), webtorch.Size([2, 4, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )


class GRU(RNNBase):
    """Layers of gated recurrent units (Cho et al., 2014) over sequences; inputs and results as for `RNN`.

    >>> import webtorch
    >>> webtorch.nn.GRU(10, 20, 2)
    GRU(10, 20, num_layers=2)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **rest: Any,
    ) -> None:
        if "proj_size" in rest:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if rest:
            raise TypeError(f"GRU() got an unexpected keyword argument '{next(iter(rest))}'")
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )


class RNNCellBase(Module):
    """What the cells share: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        make = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(creation.empty(rows, input_size, **make))
        self.weight_hh = Parameter(creation.empty(rows, hidden_size, **make))
        self.register_parameter("bias_ih", Parameter(creation.empty(rows, **make)) if bias else None)
        self.register_parameter("bias_hh", Parameter(creation.empty(rows, **make)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(hidden_size), weights and biases."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += ", bias=False"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def step(self, mode: str, input: Tensor, hx: Any, count: int) -> tuple:
        """One step from a given state, or from zeros."""
        name = self._get_name()
        states = () if hx is None else (hx,) if isinstance(hx, Tensor) else tuple(hx)
        for label, value in (("input", input), *(("hidden", state) for state in states)):
            if value.ndim not in (1, 2):
                raise ValueError(f"{name}: Expected {label} to be 1D or 2D, got {value.ndim}D instead")
        if input._shape[-1] != self.input_size:
            raise ShapeError(f"input has inconsistent input_size: got {input._shape[-1]} expected {self.input_size}")
        x = input if input.ndim == 2 else input.unsqueeze(0)
        if not states:
            zero = creation.zeros(x._shape[0], self.hidden_size, dtype=x.dtype, device=x.device)
            states = (zero,) * count
        else:
            states = tuple(state if state.ndim == 2 else state.unsqueeze(0) for state in states)
        for state in states:
            if state._shape != (x._shape[0], self.hidden_size):
                raise ShapeError(
                    f"{name}: hidden state {list(state._shape)} does not fit input {list(input._shape)} and hidden_size={self.hidden_size}"
                )
        result = cell(mode, x, states, Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh))
        return result if input.ndim == 2 else tuple(state.squeeze(0) for state in result)


class RNNCell(RNNCellBase):
    """One step of an `RNN`: input (batch, features) and hidden state (batch, hidden) give the next hidden state.

    >>> import webtorch
    >>> webtorch.nn.RNNCell(3, 5)(webtorch.rand(2, 3)).shape
    webtorch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self.step(f"RNN_{self.nonlinearity.upper()}", input, hx, 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: input and (hidden, cell) state give the next (hidden, cell) state.

    >>> import webtorch
    >>> h, c = webtorch.nn.LSTMCell(3, 5)(webtorch.rand(2, 3))
    >>> h.shape, c.shape
    (webtorch.Size([2, 5]), webtorch.Size([2, 5]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        hidden, memory = self.step("LSTM", input, hx, 2)
        return hidden, memory


class GRUCell(RNNCellBase):
    """One step of a `GRU`.

    >>> import webtorch
    >>> webtorch.nn.GRUCell(3, 5)(webtorch.rand(2, 3)).shape
    webtorch.Size([2, 5])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self.step("GRU", input, hx, 1)[0]
