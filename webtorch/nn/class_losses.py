"""Loss modules over several labels, over sequences of labels, over very many classes, and with any distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import webtorch

from ..errors import ShapeError
from ..shapes import numel
from ..tensor import Tensor
from . import functional as F
from .containers import ModuleList, Sequential
from .layers import Linear, PairwiseDistance
from .loss import Loss, NLLLoss, WeightedLoss
from .module import Module

__all__ = [
    "ASMoutput", "AdaptiveLogSoftmaxWithLoss", "CTCLoss", "LinearCrossEntropyLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss2d", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class NLLLoss2d(NLLLoss):
    """`NLLLoss`, by its old name.

    >>> import webtorch
    >>> webtorch.nn.NLLLoss2d()(webtorch.zeros(1, 2, 1, 1) - 3, webtorch.zeros(1, 1, 1, dtype=webtorch.int64))
    tensor(3.)
    """


class CTCLoss(Module):
    """Minus the log of the chance that (time, batch, classes) log-probabilities spell the targets (Graves et al., 2006).

    >>> import webtorch
    >>> x = webtorch.randn(20, 4, 6).log_softmax(2)
    >>> webtorch.nn.CTCLoss()(x, webtorch.randint(1, 6, (4, 5)), [20, 18, 20, 12], [5, 3, 4, 5]).shape
    webtorch.Size([])
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__()
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class MultiMarginLoss(WeightedLoss):
    """The mean over classes of max(0, margin - x[target] + x[class]) ** p.

    >>> import webtorch
    >>> webtorch.nn.MultiMarginLoss()(webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([0]))
    tensor(1.)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D instead")
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """max(0, 1 - (x[label] - x[class])) over all labels and all other classes.

    >>> import webtorch
    >>> webtorch.nn.MultiLabelMarginLoss()(webtorch.tensor([[1.0, 2.0]]), webtorch.tensor([[0, -1]]))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """The binary cross-entropy of sigmoid(input), averaged over the classes.

    >>> import webtorch
    >>> webtorch.nn.MultiLabelSoftMarginLoss()(webtorch.zeros(1, 2), webtorch.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class TripletMarginWithDistanceLoss(Module):
    """max(0, distance to the positive - distance to the negative + margin), with any distance.

    >>> import webtorch
    >>> webtorch.nn.TripletMarginWithDistanceLoss(
    ...     )(webtorch.zeros(1, 4), webtorch.ones(1, 4), webtorch.ones(1, 4)).item(
    ... )
    1.0
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.reduction = reduction
        self.distance_function: Any = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class LinearCrossEntropyLoss(Module):
    """A linear layer to the classes, and to as many outputs as `out_features` says, and the cross-entropy of what it gives.

    Raises ShapeError unless `weight` has one number per class.

    >>> import webtorch
    >>> webtorch.nn.LinearCrossEntropyLoss(3, 5)(webtorch.rand(2, 3), webtorch.tensor([0, 4])).shape
    webtorch.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:
        super().__init__()
        if weight is not None and weight.shape != (num_classes,):
            raise ShapeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        self.in_features, self.num_classes, self.out_features = in_features, num_classes, tuple(out_features)
        self.reduction, self.ignore_index, self.label_smoothing = reduction, ignore_index, label_smoothing
        outputs = num_classes * numel(self.out_features)
        self.linear = Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)
        self.register_buffer("weight", weight)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        outputs = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape((*outputs, self.in_features)),
            target,
            linear_bias=None if bias is None else bias.reshape(outputs),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        """Its sizes and settings, for printing."""
        return (
            f"in_features={self.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )


class ASMoutput(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns: the log-probability of each target, and the loss."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """The loss of a softmax over very many classes, in clusters of rarer and rarer ones (Grave et al., 2017).

    `cutoffs` are where the clusters end, the classes being ordered from frequent to rare; each cluster is given
    `div_value` times fewer features than the one before.

    >>> import webtorch
    >>> module = webtorch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2.0)
    >>> module.log_prob(webtorch.rand(3, 8)).shape
    webtorch.Size([3, 20])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        if not ends:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            ends != sorted(set(ends))
            or min(ends) <= 0
            or max(ends) > n_classes - 1
            or any(int(end) != end for end in ends)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between "
                "1 and n_classes-1"
            )
        make = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*ends, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **make)
        self.tail = ModuleList()
        for number in range(self.n_clusters):
            width = int(in_features // div_value ** (number + 1))
            size = self.cutoffs[number + 1] - self.cutoffs[number]
            self.tail.append(
                Sequential(Linear(in_features, width, bias=False, **make), Linear(width, size, bias=False, **make))
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for pair in self.tail:
            for layer in pair.children():
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        batched = input_.ndim > 1
        if target_.ndim != input_.ndim - 1:
            raise ShapeError(
                "AdaptiveLogSoftmaxWithLoss: 0D or 1D target tensor expected, multi-target not supported"
                if target_.ndim > 1
                else "AdaptiveLogSoftmaxWithLoss: input and target should have the same size in the batch dimension."
            )
        x, target = (input_, target_) if batched else (input_.unsqueeze(0), target_.unsqueeze(0))
        if x._shape[0] != target._shape[0]:
            raise ShapeError("Input and target should have the same size in the batch dimension.")
        low, high = (int(target.min().item()), int(target.max().item())) if target.numel() else (0, 0)
        if low < 0 or high >= self.n_classes:
            raise ShapeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{low}, {high}] were found. "
            )
        head = F.log_softmax(self.head(x), 1)
        output = head.gather(1, target.clamp_max(self.shortlist_size - 1).unsqueeze(1)).squeeze(1)
        for number in range(self.n_clusters):  # of every cluster all rows are computed: no shape depends on the targets
            start, end = self.cutoffs[number], self.cutoffs[number + 1]
            if not start <= high:
                break
            mine = (target >= start) & (target < end)
            within = F.log_softmax(self.tail[number](x), 1)
            place = (target - start).clamp(0, end - start - 1).unsqueeze(1)
            chance = head[:, self.shortlist_size + number] + within.gather(1, place).squeeze(1)
            output = webtorch.where(mine, chance, output)
        loss = -output.mean()
        return ASMoutput(output if batched else output.squeeze(0), loss)

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        head = F.log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for number in range(self.n_clusters):
            within = F.log_softmax(self.tail[number](input), 1)
            parts.append(within + head[:, self.shortlist_size + number].unsqueeze(1))
        return webtorch.cat(parts, 1)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes, (n, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The class of the highest probability for each row."""
        return self.log_prob(input).argmax(1)
