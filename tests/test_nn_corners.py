"""Corners of nn.functional as PyTorch has them: images of bytes, windows of integers, single numbers, losses of several
dimensions, and rounding once."""

import numpy as np
import pytest
from programs import Programs

import webtorch

program = Programs("nn_corners")


def image(m, *shape):
    """Bytes that a rounding in another place would change."""
    return m.tensor((np.arange(int(np.prod(shape))) ** 2 * 37 % 251).reshape(shape).astype(np.uint8))


def numbers(m, *shape, seed=0):
    return m.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@program
def bytes_resized(m):
    F, x = m.nn.functional, image(m, 1, 2, 6, 7)
    for mode in ("bilinear", "bicubic"):
        for antialias in (False, True):
            yield F.interpolate(x, (4, 9), mode=mode, antialias=antialias)
        yield F.interpolate(x, (3, 5), mode=mode, align_corners=True)
        yield F.interpolate(x, scale_factor=1.7, mode=mode), F.interpolate(x, scale_factor=(0.6, 1.0), mode=mode)


@program
def integers_averaged(m):
    F, x = m.nn.functional, m.arange(-9, 9)
    yield F.avg_pool1d(x.reshape(1, 18), 3), F.avg_pool1d(x.reshape(1, 18), 4, padding=2, count_include_pad=False)
    yield F.avg_pool2d(x.reshape(1, 3, 6), 2, 1), F.avg_pool2d(x.reshape(1, 3, 6), 2, 1, divisor_override=3)
    yield F.avg_pool3d(x.reshape(1, 1, 3, 6), (1, 2, 2), 1)


@program
def dropped_whole(m):
    F = m.nn.functional
    for dtype in (m.int32, m.uint8, m.bool, m.float32):
        x = m.ones(2, 2, 2, 2, dtype=dtype)
        yield (
            F.dropout(x, 1.0),
            F.dropout2d(x, 1.0),
            F.alpha_dropout(x, 1.0, True),
            F.feature_alpha_dropout(x, 1.0, True),
        )
    yield F.dropout(m.tensor([float("nan"), 1.0]), 1.0)


@program
def limits_of_bytes(m):
    yield m.nn.functional.hardtanh(m.arange(5, dtype=m.uint8), -0.5, 2.5)
    yield m.nn.functional.threshold(m.arange(5, dtype=m.uint8), 1.5, -9), m.threshold(m.arange(-2, 3), -0.5, 7.9)
    yield m.nn.functional.hardtanh(m.arange(-3, 4, dtype=m.int32), -1.5, 2.5)


@program
def wrapped_after_cutting(m):
    F, x = m.nn.functional, m.arange(32).reshape(1, 2, 4, 4)
    yield F.pad(x, (-1, 1, -2, 1), mode="circular"), F.pad(x, (2, -1, 0, 0), mode="circular")
    yield F.pad(x, (-2, -1, 3, 1), mode="circular"), F.pad(x[0], (1, -2), mode="circular")


@program
def single_numbers(m):
    F, x, none = m.nn.functional, m.tensor(2.0), m.tensor(0)
    whole = m.tensor([3, -2]), m.tensor([1, 4]), m.tensor([-1, 1])
    yield [F.margin_ranking_loss(*whole, reduction=reduction) for reduction in ("none", "mean", "sum")]
    yield F.multi_margin_loss(numbers(m, 5), m.tensor([2]), reduction="none")
    yield F.multi_margin_loss(x, none), F.multi_margin_loss(x, none, reduction="none")
    yield F.multilabel_margin_loss(x, none), F.multilabel_margin_loss(x, m.tensor(-1), reduction="none")


@program
def losses_of_several_dimensions(m):
    F = m.nn.functional
    x, w, b = numbers(m, 4, 3), numbers(m, 5, 2, 3, 3, seed=1), numbers(m, 5, 2, 3, seed=2)
    target = m.tensor(np.random.default_rng(3).integers(0, 5, (4, 2, 3)))
    for leaf in (x, w, b):
        leaf.requires_grad_()
    for given in ({}, {"linear_bias": b, "reduction": "sum", "label_smoothing": 0.2}, {"ignore_index": 1}):
        loss = F.linear_cross_entropy(x, w, target, **given)
        loss.backward()
        yield loss, x.grad, w.grad
    chances = numbers(m, 4, 5, 2, 3, seed=4).softmax(1)
    yield (
        F.linear_cross_entropy(x, w, chances, reduction="none"),
        F.linear_cross_entropy(x[0], w[:, 0, 0], target[0, 0, 0]),
    )


@program
def a_module_with_several_outputs(m):
    loss = m.nn.LinearCrossEntropyLoss(3, 5, out_features=(2, 3), bias=True, weight=m.arange(1.0, 6.0))
    yield [[name, list(value.shape)] for name, value in loss.state_dict().items()], repr(loss)
    with m.no_grad():
        loss.linear.weight.copy_(numbers(m, 30, 3, seed=1))
        loss.linear.bias.copy_(numbers(m, 30, seed=2))
    total = loss(numbers(m, 4, 3), m.tensor(np.random.default_rng(3).integers(0, 5, (4, 2, 3))))
    total.backward()
    yield total, loss.linear.weight.grad, loss.linear.bias.grad
    yield m.nn.functional.kl_div(m.tensor(-0.5), m.tensor(0.25), reduction="batchmean")


@program
def statistics_of_nothing(m):
    norm = m.nn.BatchNorm2d(2)
    norm(m.ones(0, 2, 3, 3))
    yield norm.running_mean, norm.running_var, norm.num_batches_tracked


@program
def nothing_pooled(m):
    x = m.ones(0, 1, 4, 5, 4)
    yield list(m.nn.functional.fractional_max_pool3d(x, (2, 2, 1), output_size=(2, 3, 2)).shape)


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("dtype", [webtorch.float16, webtorch.bfloat16])
def test_narrow_images_are_rounded_once(mode, dtype, device):
    x = webtorch.tensor(np.random.default_rng(1).standard_normal((1, 2, 5, 6)), dtype=dtype, device=device)
    resized = webtorch.nn.functional.interpolate(x, (8, 9), mode=mode)
    exact = webtorch.nn.functional.interpolate(x.float(), (8, 9), mode=mode)
    assert resized.dtype is dtype
    assert resized.float().tolist() == exact.to(dtype).float().tolist()
