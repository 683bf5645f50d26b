"""Loss modules."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .functional.losses import legacy_reduction
from .module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss",
    "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
    "TripletMarginLoss",
]  # fmt: skip


class Loss(Module):
    """A loss that is reduced to its "mean" or "sum", or not at all ("none")."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class WeightedLoss(Loss):
    """A loss with weights, which are a buffer: they move and are saved with the module."""

    def __init__(
        self, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(WeightedLoss):
    """Minus the log of the probability that softmax of the input gives the target class.

    Inputs are (c), (n, c) or (n, c, d1, ...); targets class indices without c, or probabilities of the same shape.

    >>> import webtorch
    >>> webtorch.nn.CrossEntropyLoss()(webtorch.zeros(2, 4), webtorch.tensor([0, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(WeightedLoss):
    """Minus the log-probability, given as input, of the target class.

    >>> import webtorch
    >>> webtorch.nn.NLLLoss()(webtorch.tensor([[-1.0, -2.0]]), webtorch.tensor([1]))
    tensor(2.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(Loss):
    """The squared difference.

    >>> import webtorch
    >>> webtorch.nn.MSELoss()(webtorch.zeros(2), webtorch.ones(2))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The absolute difference.

    >>> import webtorch
    >>> webtorch.nn.L1Loss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """The absolute difference, rounded to a parabola where it is below `beta`.

    >>> import webtorch
    >>> webtorch.nn.SmoothL1Loss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.1250, 0.0312])
    """

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """Half the squared difference up to `delta`, and linear beyond it.

    >>> import webtorch
    >>> webtorch.nn.HuberLoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.1250, 0.0312])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(WeightedLoss):
    """The cross-entropy of probabilities and targets between 0 and 1.

    >>> import webtorch
    >>> webtorch.nn.BCELoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.6931, 0.2877])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of the sigmoid of the input, without its overflow; `pos_weight` multiplies the positive part.

    >>> import webtorch
    >>> webtorch.nn.BCEWithLogitsLoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.4741, 0.3869])
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """target * (log(target) - input), `input` being log-probabilities; use reduction="batchmean" for the divergence.

    >>> import webtorch
    >>> webtorch.nn.KLDivLoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([-0.5000, -0.7500])
    """

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of Poisson counts.

    >>> import webtorch
    >>> webtorch.nn.PoissonNLLLoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([1.1487, 1.3670])
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(input, target, self.log_input, full=self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(Loss):
    """The negative log-likelihood of normal values, given mean and variance.

    >>> import webtorch
    >>> webtorch.nn.GaussianNLLLoss()(webtorch.tensor([1.0]), webtorch.tensor([3.0]), webtorch.tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Any) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class HingeEmbeddingLoss(Loss):
    """The input where the target is 1, and max(0, margin - input) where it is -1.

    >>> import webtorch
    >>> webtorch.nn.HingeEmbeddingLoss()(webtorch.tensor([0.25, 0.25]), webtorch.tensor([1, -1]))
    tensor(0.5000)
    """

    def __init__(
        self, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """max(0, -target * (input1 - input2) + margin).

    >>> import webtorch
    >>> webtorch.nn.MarginRankingLoss()(webtorch.tensor([1.0]), webtorch.tensor([3.0]), webtorch.tensor([1.0]))
    tensor(2.)
    """

    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    >>> import webtorch
    >>> webtorch.nn.CosineEmbeddingLoss(
    ...     )(webtorch.tensor([[3.0, 4.0]]), webtorch.tensor([[4.0, 3.0]]), webtorch.tensor([1])
    ... )
    tensor(0.0400)
    """

    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)).

    >>> import webtorch
    >>> webtorch.nn.SoftMarginLoss(reduction="none")(webtorch.tensor([0.5, 0.75]), webtorch.tensor([1.0, 1.0]))
    tensor([0.4741, 0.3869])
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """max(0, distance to the positive - distance to the negative + margin).

    >>> import webtorch
    >>> webtorch.nn.TripletMarginLoss(
    ...     margin=2.0, eps=0.0)(webtorch.zeros(1, 2), webtorch.zeros(1, 2), webtorch.ones(1, 2)
    ... )
    tensor(0.5858)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )
