"""Recurrent networks: one step of each kind of cell, and layers that take steps over whole sequences.

The products of the inputs with their weights are computed for all steps at once; what is left for each step is one
product with the hidden state, to which its input is added where it is stored, and one kernel for the gates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import webtorch

from ...errors import ShapeError
from ...precision import autocasts
from ...tensor import Tensor
from .basics import dropout, linear

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"]

State = tuple[Tensor, ...]  # the hidden state, and for an LSTM the cell state


class Weights(NamedTuple):
    """The parameters of one direction of one layer; biases, and the projection of an LSTM, may be None."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    hr: Tensor | None = None


def plain_step(nonlinearity: Callable) -> Callable:
    def step(projected: Tensor, state: State, weights: Weights) -> State:
        return (nonlinearity(linear(state[0], weights.hh) + projected),)

    return step


def lstm_step(projected: Tensor, state: State, weights: Weights) -> State:
    """Gates in PyTorch's order: input, forget, candidate, output."""
    hidden, cell = state
    gates = linear(hidden, weights.hh) + projected
    entering, keeping, candidate, leaving = gates.chunk(4, -1)
    cell = keeping.sigmoid() * cell + entering.sigmoid() * candidate.tanh()
    hidden = leaving.sigmoid() * cell.tanh()
    if weights.hr is not None:
        hidden = linear(hidden, weights.hr)
    return hidden, cell


def gru_step(projected: Tensor, state: State, weights: Weights) -> State:
    """Gates in PyTorch's order: reset, update, new. The reset gate acts after the product with the hidden state."""
    hidden = state[0]
    own = linear(hidden, weights.hh, weights.bias_hh)
    reset_x, update_x, new_x = projected.chunk(3, -1)
    reset_h, update_h, new_h = own.chunk(3, -1)
    update = (update_x + update_h).sigmoid()
    new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
    return (new + update * (hidden - new),)


STEPS = {
    "RNN_TANH": plain_step(webtorch.tanh),
    "RNN_RELU": plain_step(webtorch.relu),
    "LSTM": lstm_step,
    "GRU": gru_step,
}
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def project_inputs(mode: str, input: Tensor, weights: Weights) -> Tensor:
    """The inputs of all steps times their weights, with all biases that can be added before the steps."""
    bias = weights.bias_ih
    if bias is not None and mode != "GRU":
        bias = bias + weights.bias_hh
    return linear(input, weights.ih, bias)


def run_steps(
    mode: str, steps: Sequence[Tensor], sizes: Sequence[int] | None, start: State, weights: Weights, reverse: bool
) -> tuple[list[Tensor], State]:
    """The hidden states after each step, and the last state.

    With `sizes`, which do not grow, only that many of the batch take part in a step: forwards, those that are finished
    keep their state; backwards, they begin with the one they are given.
    """
    step = STEPS[mode]
    order = range(len(steps))[::-1] if reverse else range(len(steps))
    outputs: list = [None] * len(steps)
    batch = start[0]._shape[0]
    taking_part = batch if sizes is None or not len(steps) else int(sizes[order[0]])
    state = start if taking_part == batch else tuple(part[:taking_part] for part in start)
    finished: list[State] = []
    for number in order:
        size = batch if sizes is None else int(sizes[number])
        if size < taking_part:
            finished.append(tuple(part[size:] for part in state))
            state = tuple(part[:size] for part in state)
        elif size > taking_part:
            state = tuple(
                webtorch.cat([part, first[taking_part:size]], 0) for part, first in zip(state, start, strict=True)
            )
        taking_part = size
        state = step(steps[number], state, weights)
        outputs[number] = state[0]
    if finished:
        state = tuple(
            webtorch.cat([part, *(one[place] for one in reversed(finished))], 0) for place, part in enumerate(state)
        )
    return outputs, state


@functools.partial(autocasts, name="recurrent_layers")
def run_layers(
    mode: str,
    input: Tensor,
    sizes: Sequence[int] | None,
    start: State,
    layers: Sequence[Sequence[Weights]],
    dropout_p: float,
    training: bool,
) -> tuple[Tensor, State]:
    """Layers of one or two directions over (time, batch, features), or packed (elements, features) with `sizes`.

    States are (layers * directions, batch, features); the output has the directions side by side.
    """
    last: list[State] = []
    for number, directions in enumerate(layers):
        results = []
        for direction, weights in enumerate(directions):
            projected = project_inputs(mode, input, weights)
            steps = projected.unbind(0) if sizes is None else projected.split([int(size) for size in sizes], 0)
            place = number * len(directions) + direction
            outputs, state = run_steps(
                mode, steps, sizes, tuple(part[place] for part in start), weights, reverse=direction == 1
            )
            results.append(webtorch.stack(outputs, 0) if sizes is None else webtorch.cat(outputs, 0))
            last.append(state)
        input = results[0] if len(results) == 1 else webtorch.cat(results, -1)
        if dropout_p and training and number + 1 < len(layers):
            input = dropout(input, dropout_p, True)
    return input, tuple(webtorch.stack(parts, 0) for parts in zip(*last, strict=True))


# ---- PyTorch's functions --------------------------------------------------------------------------------------------


def arranged(mode: str, params: Sequence[Tensor], has_biases: bool, num_layers: int, bidirectional: bool) -> list:
    """A flat list of parameters as layers of directions; a projection is recognised by the number of parameters."""
    directions = 2 if bidirectional else 1
    each, rest = divmod(len(params), num_layers * directions)
    plain = 4 if has_biases else 2
    if rest or each not in (plain, plain + (mode == "LSTM")):
        raise ShapeError(
            f"{mode.lower()}: {len(params)} parameters do not fit num_layers={num_layers}, has_biases={has_biases} and "
            f"bidirectional={bidirectional}"
        )

    def one(start: int) -> Weights:
        own = list(params[start : start + each])
        biases = own[2:4] if has_biases else [None, None]
        return Weights(own[0], own[1], biases[0], biases[1], own[-1] if each > plain else None)

    return [[one((layer * directions + d) * each) for d in range(directions)] for layer in range(num_layers)]


def sequence_function(mode: str, name: str, states: int) -> Callable:
    def function(input: Tensor, *args: Any) -> Any:
        """Layers over a sequence, as PyTorch's function of this name: (input, hx, params, has_biases, num_layers, dropout,
        train, bidirectional, batch_first), or for packed sequences (data, batch_sizes, hx, params, has_biases, num_layers,
        dropout, train, bidirectional)."""
        packed = isinstance(args[1], (list, tuple)) and len(args) == 8 and not isinstance(args[2], bool)
        sizes, batch_first = None, False
        if packed:
            sizes, hx, params, has_biases, num_layers, dropout_p, train, bidirectional = args
            sizes = sizes.tolist()
        else:
            hx, params, has_biases, num_layers, dropout_p, train, bidirectional, batch_first = args
        start = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        layers = arranged(mode, params, has_biases, num_layers, bidirectional)
        x = input.transpose(0, 1) if batch_first else input
        output, last = run_layers(mode, x, sizes, start, layers, dropout_p, train)
        return (output.transpose(0, 1) if batch_first else output, *last[:states])

    function.__name__ = function.__qualname__ = name
    return function


rnn_tanh = sequence_function("RNN_TANH", "rnn_tanh", 1)
rnn_relu = sequence_function("RNN_RELU", "rnn_relu", 1)
lstm = sequence_function("LSTM", "lstm", 2)
gru = sequence_function("GRU", "gru", 1)


@functools.partial(autocasts, name="recurrent_cell")
def cell(mode: str, input: Tensor, state: State, weights: Weights) -> State:
    """One step of a cell of the given kind."""
    return STEPS[mode](project_inputs(mode, input, weights), state, weights)


@autocasts
def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """tanh(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh).

    >>> import webtorch
    >>> one = webtorch.ones(1, 1)
    >>> webtorch.rnn_tanh_cell(one * 0, one * 0, one, one)
    tensor([[0.]])
    """
    return cell("RNN_TANH", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]


@autocasts
def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """relu(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh).

    >>> import webtorch
    >>> one = webtorch.ones(1, 1)
    >>> webtorch.rnn_relu_cell(one, one, one, one)
    tensor([[2.]])
    """
    return cell("RNN_RELU", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]


@autocasts
def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """The next hidden state of a gated recurrent unit (Cho et al., 2014).

    >>> import webtorch
    >>> webtorch.gru_cell(webtorch.zeros(1, 1), webtorch.ones(1, 1), webtorch.zeros(3, 1), webtorch.zeros(3, 1))
    tensor([[0.5000]])
    """
    return cell("GRU", input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh))[0]


@autocasts
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The next hidden state and cell state of a long short-term memory (Hochreiter and Schmidhuber, 1997).

    >>> import webtorch
    >>> state = (webtorch.zeros(1, 1), webtorch.ones(1, 1))
    >>> webtorch.lstm_cell(webtorch.zeros(1, 1), state, webtorch.zeros(4, 1), webtorch.zeros(4, 1))[1]
    tensor([[0.5000]])
    """
    hidden, memory = cell("LSTM", input, tuple(hx), Weights(w_ih, w_hh, b_ih, b_hh))
    return hidden, memory
