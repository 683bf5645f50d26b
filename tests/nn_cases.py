"""What the tests of `webtorch.nn` and `webtorch.optim` compute, written so that PyTorch can compute it too.

A case makes a module or a function from a library (webtorch or torch) and names its inputs; weights, inputs and the
gradient of the output are drawn by numpy from the case's name, so both libraries see the same numbers.
`python tests/nn_cases.py` records what PyTorch gives in goldens/nn.npz.
"""

from __future__ import annotations

import pathlib
import warnings
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

GOLDENS = pathlib.Path(__file__).parent / "goldens" / "nn.npz"


class Case(NamedTuple):
    """`make(library)` gives a callable; `inputs` are shapes of normal numbers, or arrays made by the helpers below."""

    make: Callable[[Any], Callable]
    inputs: tuple
    mode: str = "train"


def integers(high: int, *shape: int) -> Callable:
    return lambda rng: rng.integers(0, high, shape)


def chances(*shape: int) -> Callable:
    return lambda rng: rng.uniform(0.05, 0.95, shape).astype(np.float32)


def distribution(*shape: int) -> Callable:
    def draw(rng):
        values = rng.uniform(0.05, 1.0, shape)
        return (values / values.sum(1, keepdims=True)).astype(np.float32)

    return draw


def logs(*shape: int) -> Callable:
    return lambda rng: np.log(distribution(*shape)(rng))


def logs_over_time(*shape: int) -> Callable:
    """Log-probabilities over the last dimension."""

    def draw(rng):
        values = rng.uniform(0.05, 1.0, shape)
        return np.log(values / values.sum(-1, keepdims=True)).astype(np.float32)

    return draw


def labels(*rows: list[int]) -> Callable:
    """These integers."""
    return lambda rng: np.array(rows[0] if len(rows) == 1 else rows)


def signs(*shape: int) -> Callable:
    def draw(rng):
        return np.where(rng.random(shape) < 0.5, -1.0, 1.0).astype(np.float32)

    draw.constant = True  # PyTorch has no gradient with respect to these
    return draw


def fixed(*shape: int) -> Callable:
    """Normal numbers of which no gradient is wanted."""

    def draw(rng):
        return rng.standard_normal(shape).astype(np.float32)

    draw.constant = True
    return draw


def fixed_chances(*shape: int) -> Callable:
    """Numbers between 0 and 1 of which no gradient is wanted."""

    def draw(rng):
        return rng.uniform(0.05, 0.95, shape).astype(np.float32)

    draw.constant = True
    return draw


def ties(*shape: int) -> Callable:
    """Few different values, so that windows hold equal maxima."""

    def draw(rng):
        return rng.integers(0, 3, shape).astype(np.float32)

    draw.ties = True
    return draw


def module(text: str, *inputs: Any, mode: str = "train") -> tuple[str, Case]:
    return text, Case(
        lambda lib: eval(text, {"nn": lib.nn, "F": lib.nn.functional, "lib": lib, **helpers(lib)}), inputs, mode
    )


def helpers(lib: Any) -> dict[str, Any]:
    """Modules that only tests need."""

    class Packed(lib.nn.Module):
        """A recurrent layer over sequences of lengths 3, 5, 1 and 5, packed and then padded again."""

        def __init__(self, layer: Any, state: bool = False) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any, *state: Any) -> Any:
            rnn = lib.nn.utils.rnn
            packed = rnn.pack_padded_sequence(x, [3, 5, 1, 5], enforce_sorted=False)
            output, last = self.layer(packed, *state)
            return output, *rnn.pad_packed_sequence(output, padding_value=2.0)[:1], last

    class Silent(lib.nn.Module):
        """Attention that is not asked for its weights, with both masks."""

        def __init__(self, attention: Any) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, query: Any, key: Any, value: Any) -> Any:
            device = query.device
            padding = lib.tensor([[False] * 6, [False] * 4 + [True] * 2], device=device)
            mask = lib.zeros(9, 6, device=device).masked_fill(
                lib.ones(9, 6, device=device).triu(2).bool(), float("-inf")
            )
            return self.attention(query, key, value, key_padding_mask=padding, attn_mask=mask, need_weights=False)[0]

    return {"Packed": Packed, "Silent": Silent}


def function(text: str, *inputs: Any) -> tuple[str, Case]:
    return text, Case(
        lambda lib: eval("lambda x=None, y=None, z=None, w=None: " + text, {"F": lib.nn.functional, "lib": lib}), inputs
    )


IMAGE = (2, 4, 6, 5)

CASES: list[tuple[str, Case]] = [
    # ---- layers
    module("nn.Linear(5, 3)", (4, 5)),
    module("nn.Linear(5, 3, bias=False)", (2, 3, 5)),
    module("nn.Linear(5, 3)", (5,)),
    module("nn.Bilinear(3, 4, 2)", (5, 3), (5, 4)),
    module("nn.Embedding(7, 3)", integers(7, 2, 4)),
    module("nn.Embedding(7, 3, padding_idx=2)", integers(4, 3, 4)),
    module("nn.Embedding(7, 3, scale_grad_by_freq=True)", integers(4, 3, 4)),
    module("nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))", (3, 3, 4)),
    module("nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3)))", (3, 4)),
    module("nn.CosineSimilarity()", (3, 4), (3, 4)),
    module("nn.PairwiseDistance()", (3, 4), (3, 4)),
    module("nn.PixelShuffle(2)", (2, 8, 3, 2)),
    # ---- convolution
    module("nn.Conv1d(3, 4, 3)", (2, 3, 8)),
    module("nn.Conv1d(4, 4, 3, stride=2, padding=2, dilation=2, groups=2)", (2, 4, 9)),
    module("nn.Conv2d(4, 3, 3)", IMAGE),
    module("nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)", IMAGE),
    module("nn.Conv2d(4, 3, 3, padding='same', bias=False)", IMAGE),
    module("nn.Conv2d(4, 3, 2, padding='same')", IMAGE),
    module("nn.Conv2d(4, 4, 3, padding='valid', groups=4)", IMAGE),
    module("nn.Conv2d(4, 3, 1, stride=3)", IMAGE),
    module("nn.Conv2d(4, 3, 3)", (4, 6, 5)),
    module("nn.Conv2d(4, 2, 3, padding=1, padding_mode='reflect')", IMAGE),
    module("nn.Conv2d(4, 2, 3, padding=(2, 1), padding_mode='circular')", IMAGE),
    module("nn.Conv2d(4, 2, 3, padding='same', padding_mode='replicate')", IMAGE),
    module("nn.Conv3d(2, 3, 2, padding=1)", (1, 2, 3, 4, 3)),
    module("nn.ConvTranspose1d(3, 2, 3, stride=2)", (2, 3, 5)),
    module("nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=1)", IMAGE),
    module("nn.ConvTranspose2d(4, 2, (2, 3), padding=(3, 1), dilation=2, stride=3)", IMAGE),
    module("nn.Unfold(2, padding=1, stride=2)", (2, 3, 4, 5)),
    # ---- pooling
    module("nn.MaxPool1d(3)", (2, 3, 8)),
    module("nn.MaxPool2d(2)", IMAGE),
    module("nn.MaxPool2d(2)", ties(2, 2, 6, 6)),
    module("nn.MaxPool2d((3, 2), stride=2, padding=1)", IMAGE),
    module("nn.MaxPool2d(3, stride=1, padding=1)", ties(1, 2, 5, 4)),
    module("nn.MaxPool2d(2, stride=3, dilation=2, ceil_mode=True)", IMAGE),
    module("nn.MaxPool2d(3, 2, padding=1, return_indices=True, ceil_mode=True)", IMAGE),
    module("nn.MaxPool1d(2, return_indices=True)", (3, 7)),
    module("nn.MaxPool3d(2)", (1, 2, 4, 4, 4)),
    module("nn.AvgPool1d(3, 2, 1)", (2, 3, 8)),
    module("nn.AvgPool2d(2)", IMAGE),
    module("nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)", IMAGE),
    module("nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)", IMAGE),
    module("nn.AvgPool2d(3, stride=2, ceil_mode=True, divisor_override=4)", IMAGE),
    module("nn.AvgPool3d(2)", (1, 2, 4, 4, 4)),
    module("nn.AdaptiveAvgPool1d(3)", (2, 3, 8)),
    module("nn.AdaptiveAvgPool2d(1)", IMAGE),
    module("nn.AdaptiveAvgPool2d((3, 5))", IMAGE),
    module("nn.AdaptiveAvgPool2d((4, None))", IMAGE),
    module("nn.AdaptiveMaxPool2d((3, 1))", IMAGE),
    module("nn.AdaptiveMaxPool2d((4, 3), return_indices=True)", IMAGE),
    module("nn.LPPool2d(2, 2)", IMAGE),
    # ---- padding
    module("nn.ZeroPad2d((1, 2, 0, 1))", IMAGE),
    module("nn.ConstantPad1d((2, -1), 3.5)", (2, 3, 6)),
    module("nn.ReflectionPad2d((2, 1, 3, 0))", IMAGE),
    module("nn.ReplicationPad2d(2)", IMAGE),
    module("nn.CircularPad2d((1, 2, 3, 1))", IMAGE),
    # ---- normalisation
    module("nn.LayerNorm(5)", (3, 4, 5)),
    module("nn.LayerNorm((4, 5), eps=1e-3, bias=False)", (3, 4, 5)),
    module("nn.LayerNorm(5, elementwise_affine=False)", (3, 5)),
    module("nn.RMSNorm(5)", (3, 4, 5)),
    module("nn.RMSNorm((4, 5), eps=1e-3)", (3, 4, 5)),
    module("nn.GroupNorm(2, 4)", IMAGE),
    module("nn.GroupNorm(4, 4, affine=False)", (3, 4)),
    module("nn.BatchNorm1d(4)", (6, 4)),
    module("nn.BatchNorm1d(4, momentum=None, eps=1e-3)", (6, 4, 3)),
    module("nn.BatchNorm1d(4)", (6, 4), mode="eval"),
    module("nn.BatchNorm2d(4)", IMAGE),
    module("nn.BatchNorm2d(4, affine=False, track_running_stats=False)", IMAGE),
    module("nn.BatchNorm2d(4)", IMAGE, mode="eval"),
    module("nn.InstanceNorm2d(4)", IMAGE),
    module("nn.InstanceNorm2d(4, affine=True, track_running_stats=True)", IMAGE),
    module("nn.LocalResponseNorm(3)", IMAGE),
    # ---- activations
    *(
        module(f"nn.{text}", (3, 7))
        for text in (
            "ReLU()", "ReLU6()", "LeakyReLU()", "LeakyReLU(0.3)", "ELU(0.7)", "CELU(0.5)", "SELU()", "GELU()", "GELU('tanh')",
            "SiLU()", "Mish()", "Sigmoid()", "LogSigmoid()", "Tanh()", "Hardtanh(-0.5, 0.7)", "Hardsigmoid()", "Hardswish()",
            "Hardshrink()", "Softshrink(0.3)", "Tanhshrink()", "Softplus(2.0, 1.0)", "Softsign()", "Softmax(1)", "LogSoftmax(0)",
            "Softmin(-1)", "Threshold(0.1, 2.0)", "PReLU()", "PReLU(7)", "Identity()",
        )
    ),
    module("nn.GLU()", (3, 8)),
    module("nn.Softmax2d()", IMAGE),
    module("nn.RReLU()", (3, 7), mode="eval"),
    module("nn.Dropout(0.4)", (3, 7), mode="eval"),
    # ---- losses
    module("nn.CrossEntropyLoss()", (5, 4), integers(4, 5)),
    module("nn.CrossEntropyLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), reduction='none')", (5, 4), integers(4, 5)),
    module("nn.CrossEntropyLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), ignore_index=1)", (5, 4), integers(4, 5)),
    module("nn.CrossEntropyLoss(label_smoothing=0.2, ignore_index=1)", (2, 4, 3), integers(4, 2, 3)),
    module("nn.CrossEntropyLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), label_smoothing=0.1)", (5, 4), integers(4, 5)),
    module("nn.CrossEntropyLoss(reduction='sum')", (2, 4, 3, 2), integers(4, 2, 3, 2)),
    module("nn.CrossEntropyLoss()", (4,), integers(4)),
    module("nn.CrossEntropyLoss()", (5, 4), distribution(5, 4)),
    module("nn.CrossEntropyLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), label_smoothing=0.1)", (2, 4, 3), distribution(2, 4, 3)),
    module("nn.NLLLoss()", logs(5, 4), integers(4, 5)),
    module("nn.NLLLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), reduction='sum')", logs(2, 4, 3), integers(4, 2, 3)),
    module("nn.MSELoss()", (3, 4), (3, 4)),
    module("nn.MSELoss(reduction='none')", (3, 4), (3, 4)),
    module("nn.L1Loss()", (3, 4), (3, 4)),
    module("nn.SmoothL1Loss(beta=0.5)", (3, 4), (3, 4)),
    module("nn.SmoothL1Loss(reduction='sum')", (3, 4), (3, 4)),
    module("nn.HuberLoss(delta=0.6)", (3, 4), (3, 4)),
    module("nn.BCELoss()", chances(3, 4), chances(3, 4)),
    module("nn.BCEWithLogitsLoss()", (3, 4), chances(3, 4)),
    module("nn.BCEWithLogitsLoss(pos_weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), reduction='sum')", (3, 4), chances(3, 4)),
    module("nn.KLDivLoss(reduction='batchmean')", logs(3, 4), distribution(3, 4)),
    module("nn.KLDivLoss(reduction='sum', log_target=True)", logs(3, 4), logs(3, 4)),
    module("nn.PoissonNLLLoss(full=True)", (3, 4), chances(3, 4)),
    module("nn.GaussianNLLLoss(full=True)", (3, 4), (3, 4), chances(3, 4)),
    module("nn.HingeEmbeddingLoss()", (3, 4), signs(3, 4)),
    module("nn.MarginRankingLoss(0.3)", (5,), (5,), signs(5)),
    module("nn.SoftMarginLoss()", (3, 4), signs(3, 4)),
    module("nn.CosineEmbeddingLoss(0.1)", (5, 4), (5, 4), signs(5)),
    module("nn.TripletMarginLoss(swap=True)", (5, 4), (5, 4), (5, 4)),
    # ---- functions
    function("F.normalize(x, dim=0)", (3, 4)),
    function("F.pad(x, (1, -2, 0, 3), value=0.5)", (3, 5)),
    function("F.one_hot(x, 5)", integers(5, 2, 3)),
    function("F.conv2d(x, y)", IMAGE, (2, 4, 3, 3)),
    function("F.scaled_dot_product_attention(x, y, z)", (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7)),
    function("F.scaled_dot_product_attention(x, y, z, is_causal=True, scale=0.3)", (2, 4, 5), (2, 4, 5), (2, 4, 5)),
    function("F.scaled_dot_product_attention(x, y, z, attn_mask=w)", (2, 4, 5), (2, 6, 5), (2, 6, 5), (4, 6)),
    function("F.scaled_dot_product_attention(x, y, y, enable_gqa=True)", (1, 4, 3, 5), (1, 2, 3, 5)),
    function("F.scaled_dot_product_attention(x, y, z)", (2, 9, 8), (2, 13, 8), (2, 13, 6)),
    function("F.scaled_dot_product_attention(x, y, z, is_causal=True)", (3, 11, 4), (3, 11, 4), (3, 11, 4)),
    function("F.scaled_dot_product_attention(x, y, z, is_causal=True)", (1, 9, 5), (1, 14, 5), (1, 14, 3)),
    function("F.scaled_dot_product_attention(x, y, z, is_causal=True)", (1, 14, 5), (1, 9, 5), (1, 9, 3)),
    function("F.scaled_dot_product_attention(x, y, z, attn_mask=w)", (2, 2, 9, 5), (2, 2, 6, 5), (2, 2, 6, 5), fixed(2, 1, 9, 6)),
    function("F.scaled_dot_product_attention(x, y, z, attn_mask=w > 0.9)", (2, 2, 9, 5), (2, 2, 6, 5), (2, 2, 6, 5), fixed(9, 6)),
    function("F.scaled_dot_product_attention(x, y, y, enable_gqa=True, is_causal=True)", (2, 4, 9, 6), (2, 2, 9, 6)),
    function("F.scaled_dot_product_attention(x.transpose(1, 2), y, y)", (2, 9, 3, 4), (2, 1, 10, 4)),
    # ---- images at other sizes
    *(
        function(f"F.interpolate(x, {text})", (2, 3, 5, 4))
        for text in (
            "scale_factor=2", "size=(7, 9)", "size=(3, 2)", "scale_factor=1.7", "size=(7, 3), mode='nearest-exact'",
            "size=(7, 9), mode='bilinear'", "scale_factor=(1.5, 0.5), mode='bilinear'", "size=(3, 8), mode='bilinear', align_corners=True",
            "scale_factor=1.7, mode='bilinear', recompute_scale_factor=True", "size=(8, 3), mode='bicubic'",
            "scale_factor=2, mode='bicubic', align_corners=True", "size=(3, 2), mode='area'",
            "size=(2, 3), mode='bilinear', antialias=True", "size=(3, 7), mode='bicubic', antialias=True",
            "size=(2, 2), mode='bilinear', antialias=True, align_corners=True",
        )
    ),
    function("F.interpolate(x, scale_factor=1.6, mode='linear')", (2, 3, 5)),
    function("F.interpolate(x, size=(4, 2, 5), mode='trilinear')", (1, 2, 3, 4, 3)),
    function("F.interpolate(x, scale_factor=3)", (1, 2, 3)),
    module("nn.Upsample(scale_factor=2, mode='bilinear')", (1, 2, 3, 4)),
    module("nn.UpsamplingBilinear2d(scale_factor=2)", (1, 2, 3, 4)),
    *(
        function(f"F.grid_sample(x, y, {text})", (2, 3, 4, 5), (2, 3, 4, 2))
        for text in (
            "align_corners=False", "align_corners=True", "mode='nearest', align_corners=False", "mode='bicubic', align_corners=False",
            "padding_mode='border', align_corners=False", "padding_mode='reflection', align_corners=False",
            "padding_mode='reflection', align_corners=True", "mode='bicubic', padding_mode='reflection', align_corners=True",
            "mode='bicubic', padding_mode='border', align_corners=False",
        )
    ),
    function("F.grid_sample(x, y, align_corners=False)", (1, 2, 3, 4, 3), (1, 2, 3, 2, 3)),
    function("F.affine_grid(x, (2, 3, 4, 5), align_corners=False)", (2, 2, 3)),
    function("F.affine_grid(x, (2, 1, 3, 4, 2), align_corners=True)", (2, 3, 4)),
    module("nn.PixelUnshuffle(2)", (2, 3, 4, 6)),
    module("nn.ChannelShuffle(3)", (2, 6, 4)),
    module("nn.Fold((4, 5), (2, 3))", (2, 12, 9)),
    module("nn.Fold((5, 6), 2, dilation=2, padding=1, stride=(1, 2))", (8, 15)),
    # ---- pooling of other kinds
    module("nn.AdaptiveMaxPool3d((2, 1, 3), return_indices=True)", (1, 2, 3, 4, 3)),
    module("nn.LPPool1d(3, 2, ceil_mode=True)", chances(2, 3, 7)),
    module("nn.LPPool3d(2, 2)", (1, 2, 4, 4, 4)),
    function("F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(6, 5))", IMAGE),
    function("F.max_unpool1d(*F.max_pool1d(x, 3, 2, return_indices=True), 3, 2, output_size=(8,))", (2, 3, 8)),
    function("F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2)", (1, 2, 4, 4, 4)),
    function("F.fractional_max_pool2d(x, 2, (3, 2), return_indices=True, _random_samples=y)", IMAGE, fixed_chances(2, 4, 2)),
    function("F.fractional_max_pool3d(x, 2, (2, 3, 3), _random_samples=y)", (1, 2, 4, 5, 6), fixed_chances(1, 2, 3)),
    module("nn.ReflectionPad3d(1)", (1, 2, 3, 2, 3)),
    module("nn.CircularPad3d((1, 2, 0, 1, 1, 1))", (1, 2, 3, 2, 3)),
    # ---- what else there is
    module("nn.EmbeddingBag(7, 3)", integers(7, 4, 5)),
    module("nn.EmbeddingBag(7, 3, mode='max', padding_idx=2)", integers(4, 4, 5)),
    module("nn.EmbeddingBag(7, 3, mode='sum', padding_idx=1)", integers(4, 4, 5)),
    function("F.embedding_bag(x, y, lib.tensor([0, 2, 2, 5]), mode='mean', padding_idx=0)", integers(5, 9), (5, 3)),
    function("F.embedding_bag(x, y, lib.tensor([0, 4, 9]), mode='max', include_last_offset=True)", integers(5, 9), (5, 3)),
    function("F.embedding_bag(x, y, lib.tensor([0, 4]), mode='sum', per_sample_weights=z)", integers(5, 9), (5, 3), (9,)),
    function("F.bilinear(x, y, z, w)", (2, 5, 3), (2, 5, 4), (2, 3, 4), (2,)),
    function("F.pdist(x)", (5, 3)),
    function("F.pdist(x, 1)", (5, 3)),
    function("lib.conv_tbc(x, y, z, 1)", (5, 2, 3), (2, 3, 4), (4,)),
    module("nn.SyncBatchNorm(4)", IMAGE, mode="eval"),
    # ---- losses over classes
    function("F.ctc_loss(x.log_softmax(2), y + 1, [6, 5], [3, 2], reduction='none')", (6, 2, 4), integers(3, 2, 3)),
    function("F.ctc_loss(x.log_softmax(2), lib.tensor([1, 1, 2, 3]), [6, 4], [3, 1], reduction='sum')", (6, 2, 4)),
    function("F.ctc_loss(x, lib.tensor([[1, 1, 1], [2, 1, 1]]), [4, 6], [3, 0], blank=3, zero_infinity=True)", logs_over_time(6, 2, 4)),
    function("F.ctc_loss(x, lib.tensor([2, 2]), [5], [2])", logs_over_time(5, 1, 3)),
    module("nn.MultiMarginLoss()", (5, 4), integers(4, 5)),
    module("nn.MultiMarginLoss(p=2, margin=0.5, weight=lib.tensor([1.0, 2.0, 0.5, 3.0]), reduction='none')", (5, 4), integers(4, 5)),
    module("nn.MultiLabelMarginLoss()", (4,), labels([2, 0, -1, 1])),
    module("nn.MultiLabelMarginLoss(reduction='sum')", (3, 4), labels([2, 0, -1, 1], [-1, 0, 0, 0], [3, 1, 0, 2])),
    module("nn.MultiLabelSoftMarginLoss(weight=lib.tensor([1.0, 2.0, 0.5, 3.0]))", (5, 4), chances(5, 4)),
    module("nn.TripletMarginWithDistanceLoss(margin=0.7, swap=True)", (5, 4), (5, 4), (5, 4)),
    module("nn.AdaptiveLogSoftmaxWithLoss(6, 12, [3, 7], div_value=2.0, head_bias=True)", (5, 6), integers(12, 5)),
    function("F.linear_cross_entropy(x, y, z, linear_bias=w, label_smoothing=0.1)", (5, 3), (4, 3), integers(4, 5), (4,)),
    # ---- attention and whole networks
    module("Silent(nn.MultiheadAttention(8, 2))", (9, 2, 8), (6, 2, 8), (6, 2, 8)),
    module("nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0)", (9, 2, 8)),
    module("nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0, activation='gelu', norm_first=True, batch_first=True)", (2, 3, 8)),
    module("nn.TransformerDecoderLayer(8, 2, 6, dropout=0.0, bias=False)", (9, 2, 8), (4, 2, 8)),
    module("nn.TransformerDecoderLayer(8, 2, 6, dropout=0.0, norm_first=True)", (3, 8), (4, 8)),
    module("nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0), 2, nn.LayerNorm(8))", (5, 2, 8)),
    module("nn.Transformer(8, 2, 1, 1, 6, dropout=0.0)", (5, 2, 8), (4, 2, 8)),
    module("nn.Transformer(8, 2, 1, 2, 6, dropout=0.1, batch_first=True)", (2, 5, 8), (2, 4, 8), mode="eval"),
    module("nn.MultiheadAttention(8, 2)", (5, 2, 8), (6, 2, 8), (6, 2, 8)),
    module("nn.MultiheadAttention(8, 4, batch_first=True, bias=False)", (2, 5, 8), (2, 5, 8), (2, 5, 8)),
    module("nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True)", (5, 2, 8), (6, 2, 3), (6, 2, 5)),
    module("nn.MultiheadAttention(8, 2)", (5, 8), (6, 8), (6, 8)),
    # ---- recurrent networks
    module("nn.RNN(3, 5)", (4, 2, 3)),
    module("nn.RNN(3, 5, 2, nonlinearity='relu', batch_first=True)", (2, 4, 3), (2, 2, 5)),
    module("nn.RNN(3, 4, bias=False, bidirectional=True)", (4, 3), (2, 4)),
    module("nn.LSTM(3, 5)", (4, 2, 3)),
    module("nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True)", (2, 4, 3)),
    module("nn.LSTM(3, 5, 2, proj_size=2)", (4, 2, 3)),
    module("nn.LSTM(3, 4)", (5, 3)),
    module("nn.GRU(3, 5)", (4, 2, 3), (1, 2, 5)),
    module("nn.GRU(3, 4, 2, bias=False, bidirectional=True)", (4, 2, 3)),
    module("nn.RNNCell(3, 5)", (2, 3), (2, 5)),
    module("nn.RNNCell(3, 5, nonlinearity='relu', bias=False)", (3,)),
    module("nn.LSTMCell(3, 5)", (2, 3)),
    module("nn.GRUCell(3, 5)", (2, 3), (2, 5)),
    module("Packed(nn.RNN(3, 5))", (5, 4, 3)),
    module("Packed(nn.LSTM(3, 4, 2, bidirectional=True))", (5, 4, 3)),
    module("Packed(nn.GRU(3, 4, bidirectional=True), state=True)", (5, 4, 3), (2, 4, 4)),
    function("lib.lstm_cell(x, (y, y), z, w)", (2, 3), (2, 2), (8, 3), (8, 2)),
    function("lib.gru_cell(x, y, z, w)", (2, 3), (2, 2), (6, 3), (6, 2)),
    function("lib.rnn_tanh(x, y, (z, w), False, 1, 0.0, False, False, True)", (2, 3, 4), (1, 2, 5), (5, 4), (5, 5)),
    module(
        "nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), "
        "nn.Linear(30, 3))",
        IMAGE,
    ),
]  # fmt: skip


def generator(*names: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def drawn(text: str, case: Case) -> list[np.ndarray]:
    """The inputs of a case."""
    arrays = []
    for position, value in enumerate(case.inputs):
        rng = generator(text, str(position))
        arrays.append(value(rng) if callable(value) else rng.standard_normal(value).astype(np.float32))
    return arrays


def key_of(text: str, case: Case) -> str:
    """Cases are told apart by their text, their inputs and the mode."""
    inputs = "-".join(array.dtype.kind + "x".join(map(str, array.shape)) for array in drawn(text, case))
    return f"{text} {inputs} {case.mode}" + (
        " ties" if any(getattr(value, "ties", False) for value in case.inputs) else ""
    )


def as_array(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy()


def flat(value: Any) -> list:
    """The tensors in nested tuples, and of a packed sequence its data."""
    if hasattr(value, "batch_sizes"):
        return [value.data]
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in flat(part)]
    return [] if value is None else [value]


def compute(
    library: Any, text: str, case: Case, to: Callable[[np.ndarray], Any], place: Callable[[Any], Any]
) -> dict[str, np.ndarray]:
    """Outputs, gradients of inputs and of parameters, and buffers afterwards, all as numpy arrays."""
    built = case.make(library)
    inputs = []
    for value, array in zip(case.inputs, drawn(text, case), strict=True):
        tensor = to(array)
        learnt = array.dtype.kind == "f" and not getattr(value, "constant", False)
        inputs.append(tensor.requires_grad_() if learnt else tensor)
    is_module = isinstance(built, library.nn.Module)
    if is_module:
        state = {}
        for name, value in built.state_dict().items():
            array = as_array(value)
            if array.dtype.kind == "f" and ("Loss" not in text or "Adaptive" in text):
                array = generator(text, name).standard_normal(array.shape).astype(np.float32)
                if "Transformer" in text:  # in deep networks large weights would drown the differences in rounding
                    array = array * np.float32(0.3)
                state[name] = to(np.abs(array) + 0.5 if "var" in name else array)
            else:
                state[name] = value
        built.load_state_dict(state)
        built = place(built)
        built.train(case.mode == "train")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = built(*inputs)
    outputs = flat(outputs)
    results = {f"output {number}": as_array(value) for number, value in enumerate(outputs)}
    total = None
    for number, value in enumerate(outputs):
        if value.requires_grad:
            weights = generator(text, "gradient", str(number)).standard_normal(tuple(value.shape)).astype(np.float32)
            part = (value * to(weights)).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
        for number, value in enumerate(inputs):
            if value.requires_grad and value.grad is not None:
                results[f"gradient of input {number}"] = as_array(value.grad)
    if is_module:
        for name, value in built.named_parameters():
            results[f"gradient of {name}"] = as_array(value.grad)
        for name, value in built.named_buffers():
            results[f"buffer {name}"] = as_array(value)
    return results


def record() -> None:
    import torch

    arrays = {}
    for text, case in CASES:
        for name, array in compute(torch, text, case, torch.tensor, lambda module: module).items():
            arrays[f"{key_of(text, case)}: {name}"] = array
    np.savez_compressed(GOLDENS, **arrays)
    print(f"{len(CASES)} cases, {len(arrays)} arrays, {GOLDENS.stat().st_size} bytes")


if __name__ == "__main__":
    record()
