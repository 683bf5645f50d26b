"""What the documents that webtorch was founded on say of the gradient modes: every example and claim, in Python.

They are the torch.js pages of `grad_mode` and `enable_grad`, PyTorch's `grad_mode.py`, a tutorial chapter on the modes,
and libtorch's page of guards. Each test runs on webtorch and, to prove that it tests PyTorch's meaning, on PyTorch. The
callable forms, which PyTorch has not, are made there from its blocks.
"""

from types import SimpleNamespace

import pytest


def in_block(scope, function):
    with scope:
        return function()


def torch_with_callable_forms():
    torch = pytest.importorskip("torch")
    names = {name: getattr(torch, name) for name in dir(torch) if not name.startswith("__")}
    for name in ("no_grad", "enable_grad", "inference_mode"):
        mode = getattr(torch, name)
        names[name] = lambda function=None, mode=mode: mode() if function is None else in_block(mode(), function)
    names["inference_mode"] = lambda mode=True: (
        torch.inference_mode(mode) if isinstance(mode, bool) else in_block(torch.inference_mode(), mode)
    )
    names["grad_mode"] = lambda mode, function: in_block(torch.set_grad_enabled(mode), function)
    return SimpleNamespace(**names)


@pytest.fixture(params=["webtorch", "torch"])
def library(request):
    if request.param == "torch":
        return torch_with_callable_forms()
    import webtorch

    return webtorch


@pytest.fixture
def model(library):
    """An encoder and a decoder, as the pages' models have."""

    class Model(library.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = library.nn.Linear(6, 4)
            self.decoder = library.nn.Linear(4, 1)

        def forward(self, x):
            return self.decoder(library.relu(self.encoder(x)))

    return Model()


UNTRACKED = "element 0 of tensors does not require grad and does not have a grad_fn"


# torch.js: grad_mode --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_training", [True, False])
def test_grad_mode_one_flag_for_training_and_evaluation(library, model, is_training):
    """First example of the page: the flag decides whether the forward pass is recorded; the values are the same."""
    inputs = library.randn(3, 6)
    output = library.grad_mode(is_training, lambda: model.forward(inputs))
    assert output.requires_grad is is_training
    assert (output.grad_fn is not None) is is_training
    assert output.tolist() == model.forward(inputs).tolist()
    assert library.is_grad_enabled()


@pytest.mark.parametrize("compute_gradients", [True, False])
def test_grad_mode_conditional_gradients(library, compute_gradients):
    """Second example: `backward` only where the gradients were recorded; elsewhere it raises."""
    x = library.randn(5, requires_grad=True)
    result = library.grad_mode(compute_gradients, lambda: x.square().sum())
    if compute_gradients:
        result.backward()
        assert x.grad.tolist() == pytest.approx([2 * value for value in x.tolist()])
    else:
        with pytest.raises(RuntimeError, match=UNTRACKED):
            result.backward()
        assert x.grad is None


def test_grad_mode_nested_example_raises(library):
    """Third example, which the page says works: it raises, here as in PyTorch.

    `y` was made while recording was off, so it is a constant without a graph. Turning recording on again later
    records what is done from then on, but `y.sum()` leads back to nothing that requires grad, so there is nothing to
    differentiate. The squaring must be inside the recorded part, as in the test after this one.
    """
    x = library.randn(3, requires_grad=True)
    seen = []

    def outer():
        y = x.square()
        seen.append(y.requires_grad)

        def inner():
            seen.append(library.is_grad_enabled())
            z = y.sum()
            seen.append(z.requires_grad)
            with pytest.raises(RuntimeError, match=UNTRACKED):
                z.backward()

        library.grad_mode(True, inner)
        seen.append(library.is_grad_enabled())
        w = x.sin()
        seen.append(w.requires_grad)

    library.grad_mode(False, outer)
    assert seen == [False, True, False, False, False]
    assert x.grad is None
    assert library.is_grad_enabled()


def test_grad_mode_nested_example_with_the_whole_path_recorded(library):
    """What the third example means to show: gradients on again inside, off again after."""
    x = library.tensor([1.0, -2.0, 3.0], requires_grad=True)

    def outer():
        library.grad_mode(True, lambda: x.square().sum().backward())
        return x.sin().requires_grad

    assert library.grad_mode(False, outer) is False
    assert x.grad.tolist() == [2.0, -4.0, 6.0]


def test_grad_mode_different_parts(library):
    """Fourth example: embeddings without gradients, the classifier on top with them."""
    inputs = library.randn(32, 10, requires_grad=True)
    embedding_layer = library.nn.Linear(10, 8)
    classifier = library.nn.Linear(8, 2)
    embeddings = library.grad_mode(False, lambda: embedding_layer(inputs))
    output = library.grad_mode(True, lambda: classifier(embeddings))
    assert not embeddings.requires_grad
    assert output.requires_grad
    output.sum().backward()
    assert classifier.weight.grad.shape == (2, 8)
    assert classifier.bias.grad.tolist() == [32.0, 32.0]
    assert embedding_layer.weight.grad is None
    assert inputs.grad is None


def test_grad_mode_by_the_models_training_property(library):
    """Fifth example: `train()` and `eval()` switch recording through `self.training`."""

    class MyModel(library.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = library.nn.Linear(4, 3)
            self.decoder = library.nn.Linear(3, 2)

        def forward(self, x):
            return library.grad_mode(self.training, lambda: self.decoder(library.relu(self.encoder(x))))

    model = MyModel()
    x = library.randn(5, 4)
    assert model(x).requires_grad
    model.eval()
    assert not model(x).requires_grad
    model.train()
    model(x).sum().backward()
    assert model.encoder.weight.grad is not None


def test_grad_mode_restores_when_the_function_throws(library):
    """The page: the earlier mode comes back even if the function throws; outside, nothing changes."""
    x = library.ones(2, requires_grad=True)

    def fails():
        assert not (x * 2).requires_grad
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        library.grad_mode(False, fails)
    assert (x * 2).requires_grad


def test_grad_mode_is_read_only_within_the_function():
    """The page: the mode chosen at the start holds throughout, even if `set_grad_enabled` is called inside.

    PyTorch has no such scope, so this is about webtorch alone.
    """
    import webtorch

    x = webtorch.ones(2, requires_grad=True)

    def body():
        webtorch.set_grad_enabled(True)
        return (x * 2).requires_grad

    assert webtorch.grad_mode(False, body) is False
    assert (x * 2).requires_grad


# torch.js: enable_grad ------------------------------------------------------------------------------------------------


def test_enable_grad_inside_no_grad(library):
    """First example of the page: recorded inside, not around it; `backward` on the inner result works."""
    x = library.tensor([1, 2, 3], requires_grad=True, dtype=library.float32)

    def body():
        assert library.is_grad_enabled() is False
        y = x.mul(2)
        assert y.requires_grad is False

        def inner():
            assert library.is_grad_enabled() is True
            return x.pow(2)

        z = library.enable_grad(inner)
        assert library.is_grad_enabled() is False
        assert z.requires_grad is True
        return z

    z = library.no_grad(body)
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_enable_grad_mixed_forward(library, model):
    """Second example: preparation and finish unrecorded, only the main computation has a graph."""
    inputs = library.randn(2, 6)
    scale = library.ones(6, requires_grad=True)
    seen = {}

    def forward():
        seen["prepared"] = inputs * scale
        seen["main"] = library.enable_grad(lambda: model(seen["prepared"]))
        return seen["main"].detach() * 2

    output = library.no_grad(forward)
    assert [seen["prepared"].requires_grad, seen["main"].requires_grad, output.requires_grad] == [False, True, False]
    seen["main"].sum().backward()
    assert model.encoder.weight.grad is not None
    assert scale.grad is None


def test_enable_grad_checkpoint(library):
    """Third example: run a segment without a graph, then again with one."""
    weight = library.tensor([2.0, -1.0], requires_grad=True)
    modes = []

    def segment(x):
        modes.append(library.is_grad_enabled())
        return (x * weight).tanh()

    def checkpoint(segment, *tensors):
        def body():
            output = segment(*tensors)
            assert not output.requires_grad
            recomputed = library.enable_grad(lambda: segment(*tensors))
            assert recomputed.tolist() == output.tolist()
            return recomputed

        return library.no_grad(body)

    result = checkpoint(segment, library.tensor([0.5, 0.25]))
    assert modes == [False, True]
    result.sum().backward()
    expected = [x * (1 - y * y) for x, y in zip([0.5, 0.25], result.tolist(), strict=True)]
    assert weight.grad.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("compute_gradients", "triggered", "recorded"),
    [(True, False, True), (True, True, True), (False, False, False), (False, True, True)],
)
def test_enable_grad_conditional(library, model, compute_gradients, triggered, recorded):
    """Fourth example: training records; inference does so only for the part that asks for it."""
    inputs = library.randn(2, 6)

    def smart_forward():
        if compute_gradients:
            return model(inputs)

        def body():
            if triggered:
                return library.enable_grad(lambda: model(inputs))
            return model(inputs)

        return library.no_grad(body)

    assert smart_forward().requires_grad is recorded


def test_enable_grad_loss_of_two_parts(library, model):
    """Fifth example: only the main loss is recorded.

    As the page writes it the sum is formed where recording is off, so the total is a plain number: `backward` on it
    raises. Adding the two after the mode gives what was meant.
    """
    inputs, target = library.randn(4, 6), library.randn(4, 1)
    parts = {}

    def body():
        parts["regular"] = sum(parameter.square().sum() for parameter in model.parameters())
        parts["main"] = library.enable_grad(lambda: (model(inputs) - target).square().mean())
        return parts["main"].add(parts["regular"])

    total = library.no_grad(body)
    assert [parts["regular"].requires_grad, parts["main"].requires_grad] == [False, True]
    assert total.requires_grad is False
    with pytest.raises(RuntimeError, match=UNTRACKED):
        total.backward()
    total = parts["main"] + parts["regular"]
    total.backward()
    assert model.decoder.bias.grad.shape == (1,)


def test_enable_grad_needs_tensors_that_require_grad(library):
    """The page: recording happens only if a tensor requires grad; the innermost mode wins."""
    plain = library.ones(3)
    assert not library.enable_grad(lambda: plain * 2).requires_grad
    x = library.ones(3, requires_grad=True)
    nested = library.no_grad(lambda: library.enable_grad(lambda: library.no_grad(lambda: x * 2)))
    assert not nested.requires_grad


# The tutorial chapter -------------------------------------------------------------------------------------------------


def test_chapter_no_grad_stops_recording(library):
    """Parameters require grad, so the forward pass is recorded; inside `no_grad` it is not."""
    model = library.nn.Linear(6, 1)
    x = library.randn(10, 6)
    assert model(x).requires_grad
    with library.no_grad():
        assert not model(x).requires_grad


def test_chapter_backward_on_an_untracked_loss(library):
    """What is computed later from an untracked result is untracked too, and `backward` on it raises."""
    model = library.nn.Linear(6, 1)
    x, y = library.randn(10, 6), library.randn(10, 1)
    with library.no_grad():
        y_pred = model(x)
    loss = (y_pred - y).square().mean()
    assert not loss.requires_grad
    with pytest.raises(RuntimeError, match=UNTRACKED):
        loss.backward()


def test_chapter_no_grad_leaves_tensors_as_they_are(library):
    """A tensor's own `requires_grad` says what it can do; the mode says what is recorded. Neither changes the other."""
    x = library.randn(10, 6, requires_grad=True)
    with library.no_grad():
        y_pred = x * 3
        assert x.requires_grad
        assert not y_pred.requires_grad
    assert x.requires_grad


def test_chapter_requires_grad_can_be_set_on_a_tensor_made_under_no_grad(library):
    """What was made while recording was paused may still ask for gradients afterwards, or at once."""
    with library.no_grad():
        x = library.randn(4)
        assert not x.requires_grad
        x.requires_grad_()
        assert x.requires_grad
        later = library.randn(4) * 2
    later.requires_grad_()
    (x * later).sum().backward()
    assert x.grad.tolist() == later.tolist()
    assert later.grad.tolist() == x.tolist()


def test_chapter_enable_grad_inside_no_grad(library):
    """Modes are a stack: the inner one ends, and the outer one is in force again."""
    x = library.randn(10, 6, requires_grad=True)
    with library.no_grad():
        y = x * 3
        with library.enable_grad():
            z = x * 4
        after = x * 5
    assert [y.requires_grad, z.requires_grad, after.requires_grad] == [False, True, False]
    z.backward(gradient=library.ones_like(z))
    assert x.grad.tolist() == [[4.0] * 6] * 10


@pytest.mark.parametrize("is_training", [True, False])
def test_chapter_set_grad_enabled(library, is_training):
    """The two other modes are special cases of this one; as a call it lasts."""
    x = library.ones(3, requires_grad=True)
    with library.set_grad_enabled(is_training):
        assert (x * 2).requires_grad is is_training
    assert (x * 2).requires_grad
    library.set_grad_enabled(is_training)
    try:
        assert (x * 2).requires_grad is is_training
    finally:
        library.set_grad_enabled(True)


def test_chapter_inference_tensors_never_require_grad(library):
    """What `no_grad` suspends, `inference_mode` gives up for good."""
    with library.no_grad():
        suspended = library.ones(3) * 2
    suspended.requires_grad_()
    assert suspended.requires_grad
    with library.inference_mode():
        x = library.ones(3) * 2
    with pytest.raises(
        RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode is not allowed"
    ):
        x.requires_grad_()
    with pytest.raises(RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode"):
        x.requires_grad = True
    assert not (x * 2).requires_grad


# PyTorch's grad_mode.py -----------------------------------------------------------------------------------------------


def test_reference_no_grad_as_block_and_decorator(library):
    """Recording stops within a `no_grad` block and within a function decorated with it, and goes on after."""
    x = library.tensor([1.0], requires_grad=True)
    with library.no_grad():
        y = x * 2
    assert not y.requires_grad

    @library.no_grad()
    def doubler(x):
        return x * 2

    assert not doubler(x).requires_grad


def test_reference_factories_are_the_exception(library):
    """Functions that create a tensor and take `requires_grad` do not heed the mode."""
    with library.no_grad():
        parameter = library.nn.Parameter(library.rand(10))
        zeros = library.zeros(2, requires_grad=True)
        data = library.tensor([1.0], requires_grad=True)
    assert parameter.requires_grad
    assert zeros.requires_grad
    assert data.requires_grad


def test_reference_enable_grad_as_block_and_decorator(library):
    """`enable_grad` turns recording on again inside `no_grad`, as a block and as a decorator."""
    x = library.tensor([1.0], requires_grad=True)
    with library.no_grad():
        with library.enable_grad():
            y = x * 2
    assert y.requires_grad
    y.backward()
    assert x.grad.tolist() == [2.0]

    @library.enable_grad()
    def doubler(x):
        return x * 2

    with library.no_grad():
        z = doubler(x)
    assert z.requires_grad


def test_reference_inference_mode_as_block_and_decorator(library):
    """Results of inference mode record nothing and keep no version count, as a block and as a decorator."""
    x = library.ones(1, 2, 3, requires_grad=True)
    with library.inference_mode():
        y = x * x
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="Inference tensors do not track version counter"):
        _ = y._version

    @library.inference_mode()
    def square(x):
        return x * x

    assert not square(x).requires_grad
    assert square(x).is_inference()


def test_reference_preserved_version_counter(library):
    """The write is hidden from autograd: backward does not complain, and uses the new value."""
    x = library.tensor([1.0, 2.0], requires_grad=True)
    factor = library.tensor([3.0, 4.0])
    y = (x * factor).sum()
    version = factor._version
    with library.autograd.grad_mode._unsafe_preserve_version_counter(factor):
        factor.mul_(10)
        assert factor._version > version
    assert factor._version == version
    y.backward()
    assert x.grad.tolist() == [30.0, 40.0]


# libtorch's guards ----------------------------------------------------------------------------------------------------


def test_guard_no_grad(library, model):
    """A guard that pauses recording gives results without history that are ordinary tensors nevertheless."""
    with library.no_grad():
        result = model(library.randn(2, 6))
    assert not result.requires_grad
    assert not result.is_inference()


def test_guard_inference_mode_workload(library, model):
    """Prepare, forward, finish, all inside: nothing is recorded, whatever requires grad."""

    def workload():
        prepared = library.randn(2, 6) - 0.5
        output = model(prepared)
        return output * 2, output

    finished, output = library.inference_mode(workload)
    assert finished.is_inference() and output.is_inference()
    assert finished.grad_fn is None and not finished.requires_grad


def test_guard_nested_inference_modes(library):
    """Inference mode can be nested with different states, and each ends with its block."""
    seen = []
    with library.inference_mode(True):
        seen.append((library.is_inference_mode_enabled(), library.ones(1).is_inference()))
        with library.inference_mode(False):
            seen.append((library.is_inference_mode_enabled(), library.ones(1).is_inference()))
        seen.append((library.is_inference_mode_enabled(), library.ones(1).is_inference()))
    seen.append((library.is_inference_mode_enabled(), library.ones(1).is_inference()))
    assert seen == [(True, True), (False, False), (True, True), (False, False)]


def test_guard_a_view_is_an_inference_tensor_if_its_base_is(library):
    """A view is an inference tensor exactly when what it looks at is one, wherever the view was made."""
    normal = library.ones(2, 2)
    with library.inference_mode():
        made = library.ones(2, 2)
        assert made.view(4).is_inference()
        assert not normal.view(4).is_inference()
    assert made.view(4).is_inference()
    assert not normal.view(4).is_inference()


def test_guard_inference_tensors_are_immutable_outside(library):
    """In-place inside is fine and bumps nothing; outside it raises; a clone made outside is a normal tensor."""
    with library.inference_mode():
        x = library.ones(3)
        x.add_(1)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode is not allowed"):
        x.add_(1)
    normal = x.clone()
    assert not normal.is_inference()
    normal.mul_(10)
    normal.requires_grad_()
    assert normal.tolist() == [10 * value for value in x.tolist()]


def test_guard_refused_write_changes_nothing():
    """PyTorch 2.13 raises after it has written; webtorch raises before."""
    import webtorch

    with webtorch.inference_mode():
        x = webtorch.ones(3)
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode is not allowed"):
        x.add_(1)
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_guard_inference_tensors_are_not_saved_for_backward(library):
    """An inference tensor cannot be kept for backward; where nothing of it is needed it may take part."""
    with library.inference_mode():
        x = library.ones(3)
    weight = library.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        _ = weight * x
    (weight + x).sum().backward()  # nothing of x is needed here
    assert weight.grad.tolist() == [1.0, 1.0, 1.0]


def test_guard_normal_tensors_keep_their_counters_inside(library):
    """A write inside inference mode to a normal tensor that was saved is still noticed by backward."""
    x = library.ones(3, requires_grad=True)
    factor = library.ones(3)
    y = (x * factor).sum()
    before = factor._version
    with library.inference_mode():
        factor.add_(1)
        assert factor._version == before + 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
