"""How notebooks show a tensor: a small table with its dtype, device and shape, of which only what is shown is read."""

from __future__ import annotations

from typing import Any

from .tensor import Tensor

EDGE = 4  # rows and columns shown at each end


def shown(size: int) -> list[int | None]:
    """The positions of a dimension that are shown; None stands for those left out."""
    if size <= 2 * EDGE + 1:
        return list(range(size))
    return [*range(EDGE), None, *range(size - EDGE, size)]


def escaped(text: str) -> str:
    from html import escape  # which brings a table of all entities: only when something is shown

    return escape(text)


def cell(value: Any) -> str:
    text = f"{value:.5g}" if isinstance(value, (float, complex)) else str(value)
    return f"<td style='text-align:right'>{escaped(text)}</td>"


def tensor_html(tensor: Tensor) -> str | None:
    """A table of a tensor's values, or of the first matrix of one with more dimensions; None where values cannot be read."""
    if tensor._batch or tensor.is_meta or not hasattr(tensor, "_storage"):
        return None
    facts = [
        str(tensor.dtype).removeprefix("webtorch."),
        str(tensor.device),
        " × ".join(map(str, tensor.shape)) or "scalar",
    ]
    if tensor.requires_grad:
        facts.append("requires grad" if tensor.is_leaf else tensor.grad_fn.name())
    matrix = tensor.detach()
    if matrix.numel() == 0:
        facts.append("no elements")
        return f"<div>{escaped(type(tensor).__name__)} {escaped(', '.join(facts))}</div>"
    if matrix.ndim > 2:
        facts.append(f"[{', '.join('0' * (matrix.ndim - 2))}] is shown")
        matrix = matrix[(0,) * (matrix.ndim - 2)]
    while matrix.ndim < 2:
        matrix = matrix.unsqueeze(0)
    rows, columns = (shown(size) for size in matrix.shape)
    lines = []
    for row in rows:
        if row is None:
            lines.append("<tr>" + "<td style='text-align:right'>⋮</td>" * len(columns) + "</tr>")
            continue
        whole = matrix[row]
        if None in columns:
            ends = whole[:EDGE].tolist() + whole[-EDGE:].tolist()
            cells = [cell(value) for value in ends]
            cells.insert(EDGE, "<td>…</td>")
        else:
            cells = [cell(value) for value in whole.tolist()]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    title = escaped(f"{type(tensor).__name__} {', '.join(facts)}")
    return f"<div>{title}<table>{''.join(lines)}</table></div>"


Tensor._repr_html_ = tensor_html  # type: ignore[attr-defined]
