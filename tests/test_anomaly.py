"""Anomaly detection: which operation made the NaN, and which line of the program called it."""

import inspect
import warnings

import pytest
from lib import W, near, only_webtorch

A = W.autograd


def t(values, **options):
    return W.tensor(values, **options)


def leaf(*values):
    return t(list(values), requires_grad=True)


def quiet(check_nan=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return A.detect_anomaly(check_nan=check_nan)


def here() -> int:
    """The line number of the caller."""
    return inspect.currentframe().f_back.f_lineno


def nan_at_log():
    x = leaf(0.0, 1.0)
    line = here() + 1
    y = (x.log() * 0.0).sum()
    return x, y, line


# ---- the switch -----------------------------------------------------------------------------------------------------


def test_off_by_default_and_scoped():
    assert not W.is_anomaly_enabled()
    with quiet():
        assert W.is_anomaly_enabled() and W.is_anomaly_check_nan_enabled()
        with quiet(check_nan=False):
            assert W.is_anomaly_enabled() and not W.is_anomaly_check_nan_enabled()
        assert W.is_anomaly_check_nan_enabled()
    assert not W.is_anomaly_enabled() and W.is_anomaly_check_nan_enabled()


def test_set_detect_anomaly():
    A.set_detect_anomaly(True, check_nan=False)
    try:
        assert W.is_anomaly_enabled() and not W.is_anomaly_check_nan_enabled()
    finally:
        A.set_detect_anomaly(False)
    assert not W.is_anomaly_enabled()
    with A.set_detect_anomaly(True):
        assert W.is_anomaly_enabled()
    assert not W.is_anomaly_enabled()
    A.set_detect_anomaly(False, check_nan=True)


def test_the_switch_goes_back_when_the_block_raises():
    with pytest.raises(ValueError):
        with quiet():
            raise ValueError
    assert not W.is_anomaly_enabled()


def test_it_warns_that_it_is_slow():
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        A.detect_anomaly()
    assert not W.is_anomaly_enabled()


@only_webtorch("torch.js has the callable form and this name")
def test_torch_js_forms():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert A.detect_anomaly(A.is_anomaly_detection_enabled) is True
    assert not A.is_anomaly_detection_enabled()


# ---- what it finds --------------------------------------------------------------------------------------------------


def test_without_it_a_nan_goes_through():
    x, y, _ = nan_at_log()
    y.backward()
    assert near(x.grad, [float("nan"), 0.0])


def test_the_function_that_made_a_nan_is_named():
    with quiet(), warnings.catch_warnings(record=True):
        x, y, _ = nan_at_log()
        with pytest.raises(RuntimeError, match="Function 'LogBackward0' returned nan values in its 0th output."):
            y.backward()
    assert x.grad is None


def test_the_output_is_numbered():
    with quiet(), warnings.catch_warnings(record=True):
        out = t([float("nan")]) * leaf(1.0)
        with pytest.raises(RuntimeError, match="Function 'MulBackward0' returned nan values in its 1th output."):
            out.sum().backward()


def test_the_warning_shows_the_calls_that_recorded_it():
    with quiet(), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        _, y, line = nan_at_log()
        with pytest.raises(RuntimeError):
            y.backward()
    (text,) = [str(warning.message) for warning in found if "Error detected" in str(warning.message)]
    assert "Error detected in LogBackward0. Traceback of forward call that caused the error:" in text
    assert "x.log()" in text and __file__ in text and f"line {line}" in text
    assert "test_the_warning_shows_the_calls_that_recorded_it" in text, "the outer calls are shown, too"


@only_webtorch("PyTorch says it in the warning only")
def test_the_error_names_the_line():
    with quiet(), warnings.catch_warnings(record=True):
        _, y, line = nan_at_log()
        with pytest.raises(RuntimeError) as caught:
            y.backward()
    assert f"{__file__}:{line} (y = (x.log() * 0.0).sum())" in str(caught.value)


def test_a_graph_recorded_before_it_was_on_has_no_lines():
    x, y, _ = nan_at_log()
    with quiet(), pytest.warns(UserWarning, match="No forward pass information available"):
        with pytest.raises(RuntimeError, match="returned nan values"):
            y.backward()


def test_nan_may_be_let_through():
    with quiet(check_nan=False):
        x, y, _ = nan_at_log()
        y.backward()
    assert near(x.grad, [float("nan"), 0.0])


def test_an_error_in_backward_is_traced_too():
    class Failing(A.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("on purpose")

    with quiet(), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        x = leaf(1.0)
        y = Failing.apply(x).sum()
        with pytest.raises(KeyError, match="on purpose"):
            y.backward()
    texts = "".join(str(warning.message) for warning in found)
    assert "Error detected in FailingBackward" in texts and "Failing.apply(x)" in texts
    assert near(A.grad((x * 2).sum(), x), [[2.0]]), "the next pass works"


def test_second_derivatives_are_traced_to_both_passes():
    with quiet(), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        x = leaf(0.0)
        (first,) = A.grad((x**1.5).sum(), x, create_graph=True)
        assert near(first, [0.0])
        with pytest.raises(RuntimeError, match="returned nan values in its 0th output"):
            (first * 0.0).sum().backward()  # the second derivative is infinite at 0
    assert any("Error detected" in str(warning.message) for warning in found)


def test_the_node_that_induced_a_calculation_is_shown():
    """The second derivative's NaN comes from a node that the first backward pass recorded: both are shown."""

    class Bad(A.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 2 + (x - 1.0).sqrt() * 0.0

    with quiet(), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        x = leaf(1.0)
        y = Bad.apply(x)
        (first,) = A.grad(y.sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output."):
            first.sum().backward()
    texts = [str(warning.message) for warning in found]
    assert any("Previous calculation was induced by BadBackward" in text and "Bad.apply(x)" in text for text in texts)


def test_what_is_fine_stays_fine():
    with quiet():
        x = leaf(1.0, 2.0)
        (x.exp() * x).sum().backward()
    e = 2.718281828
    assert near(x.grad, [2 * e, 3 * e * e])


@only_webtorch("PyTorch has no webgpu")
@pytest.mark.gpu
def test_on_webgpu():
    with quiet(), warnings.catch_warnings(record=True):
        x = t([0.0, 1.0], device="webgpu", requires_grad=True)
        line = here() + 1
        y = (x.log() * 0.0).sum()
        with pytest.raises(RuntimeError) as caught:
            y.backward()
    assert "Function 'LogBackward0' returned nan values in its 0th output." in str(caught.value)
    assert f"{__file__}:{line}" in str(caught.value)
