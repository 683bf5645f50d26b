"""Distributions: densities, entropies, moments and divergences are PyTorch's; samples have the right moments and gradients."""

import math

import distribution_cases
import numpy as np
import pytest
from distribution_cases import CASES, PAIRS, divergence, everything, made

import webtorch
from webtorch import distributions as D


@pytest.fixture(scope="module")
def goldens():
    with np.load(distribution_cases.GOLDENS) as arrays:
        return {name: arrays[name] for name in arrays.files}


def on(device):
    return lambda values: webtorch.tensor(values, device=device)


@pytest.mark.parametrize(("text", "values"), CASES, ids=[text.split("(t")[0] for text, _ in CASES])
def test_what_they_say_is_pytorchs(text, values, device, goldens):
    only = None if device == "cpu" else ("log_prob", "entropy")  # the others are the same kinds of expressions
    found = everything(webtorch, on(device), text, values, only)
    expected = {key.removeprefix(f"{text}."): value for key, value in goldens.items() if key.startswith(f"{text}.")}
    if only is not None:
        expected = {name: value for name, value in expected.items() if name in only}
    elif text.startswith(
        "Kumaraswamy"
    ):  # PyTorch's is NaN also where there is a mode: ((a - 1) / (a b - 1)) ** (1 / a)
        assert np.isnan(expected.pop("mode")).all()
        np.testing.assert_allclose(found["mode"], [np.nan, (1.5 / 4) ** 0.4, (2 / 8) ** (1 / 3)], rtol=1e-5)
    assert expected and expected.keys() <= found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=5e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.split("(")[0] for pair in PAIRS])
def test_divergences_are_pytorchs(pair, goldens):
    np.testing.assert_allclose(divergence(webtorch, on("cpu"), pair), goldens[pair], rtol=5e-4, atol=2e-5)


@pytest.mark.parametrize("kind", ["Bernoulli", "Binomial"])
def test_divergences_from_what_cannot_happen(kind, device):
    """Infinite, where a chance that is neither 0 nor 1 meets a certainty; what is certain on both sides adds nothing."""
    made = D.Bernoulli if kind == "Bernoulli" else lambda p: D.Binomial(2, p)
    p, q = (on(device)(values) for values in ([0.2, 0.7, 1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0, 0.0, 0.5]))
    found = D.kl_divergence(made(p), made(q)).cpu().numpy()
    count = 1 if kind == "Bernoulli" else 2
    np.testing.assert_allclose(found, [np.inf, np.inf, np.inf, 0, 0, count * math.log(2)], rtol=1e-5, atol=1e-5)


UNSAMPLED = (  # moments that do not exist, are not known, or converge slowly
    "Cauchy", "GeneralizedPareto", "InverseGamma", "StudentT", "FisherSnedecor", "Pareto", "Relaxed", "TransformedDistribution",
    "LogisticNormal", "precision", "VonMises", "LKJ", "Categorical(t", "Categorical(logits",
)  # fmt: skip
SAMPLED = [text for text, _ in CASES if not any(name in text for name in UNSAMPLED) or text.startswith("Mixture")] + [
    "StudentT(t([9., 30.]), 0.5, 2.)",
    "InverseGamma(t([9., 7.]), 2.)",
    "Pareto(t(1.), t(9.))",
    "OneHotCategorical(t([0.2, 0.8]))",
]


SAMPLED_ON_A_GPU = ("Normal(t", "Gamma", "StudentT", "Binomial", "Dirichlet", "OneHot", "Mixture")


@pytest.mark.parametrize(
    ("text", "device"),
    [
        *((text, "cpu") for text in SAMPLED),
        *(pytest.param(text, "webgpu", marks=pytest.mark.gpu) for text in SAMPLED if text.startswith(SAMPLED_ON_A_GPU)),
    ],
)
def test_samples_have_the_moments(text, device):
    """Six standard errors of 4,000 samples, from a fixed seed: the same on both devices."""
    webtorch.manual_seed(11)
    distribution = made(webtorch, text, on(device))
    samples = distribution.sample((4000,))
    assert samples.shape == (4000, *distribution.batch_shape, *distribution.event_shape)
    assert not samples.requires_grad and samples.device.type == device
    x = samples.cpu().numpy().astype(np.float64)
    mean, variance = distribution.mean.cpu().numpy(), distribution.variance.cpu().numpy()
    assert (np.abs(x.mean(0) - mean) < 6 * np.sqrt(variance / 4000) + 1e-6).all()
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    error = np.sqrt(np.maximum(fourth - variance**2, 0) / 4000)
    assert (np.abs(x.var(0) - variance) < 6 * error + 0.02 * variance + 1e-6).all()


@pytest.mark.parametrize("concentration", [0.1, 0.5, 1.0, 2.5, 10.0, 39.0, 60.0])
def test_implicit_gradients_of_gamma_numbers(concentration):
    """dz/da = -(dF/da) / p: from differences of the distribution function, which numpy integrates in float64."""
    from webtorch.distributions.gammas import gamma_log_gradient

    def cumulative(a, z):  # the integral over the logarithm of t
        u = np.linspace(np.log(z) - 40 / min(a, 1.0), np.log(z), 400001)
        return np.trapezoid(np.exp(a * u - np.exp(u) - math.lgamma(a)), u)

    for z in concentration * np.array([0.5, 0.98, 1.5]):
        step = 1e-3 * max(concentration, 0.1)
        slope = (cumulative(concentration + step, z) - cumulative(concentration - step, z)) / (2 * step)
        density = np.exp((concentration - 1) * np.log(z) - z - math.lgamma(concentration))
        found = gamma_log_gradient(webtorch.tensor(concentration), webtorch.tensor(np.log(z)).float()).item()
        assert found == pytest.approx(-slope / density / z, rel=4e-3)


@pytest.mark.parametrize(
    ("make", "slope"),
    [  # d mean / d parameter, known in closed form
        (lambda p: D.Gamma(p, 2.0), lambda p: 0.5),
        (lambda p: D.Beta(p, 2.0), lambda p: 2 / (p + 2) ** 2),
        (lambda p: D.Normal(p, 1.0), lambda p: 1.0),
        (lambda p: D.Exponential(p), lambda p: -1 / p**2),
        (lambda p: D.Laplace(p, 1.0), lambda p: 1.0),
        (lambda p: D.LogNormal(p, 0.5), lambda p: np.exp(p + 0.125)),
        (lambda p: D.Chi2(p), lambda p: 1.0),
    ],
)
def test_gradients_reach_the_parameters(make, slope, device):
    webtorch.manual_seed(2)
    parameter = webtorch.tensor(1.5, device=device, requires_grad=True)
    distribution = make(parameter)
    distribution.rsample((20000,)).mean().backward()
    assert parameter.grad.item() == pytest.approx(slope(1.5), rel=0.06)


def test_dirichlet_gradients(device):
    webtorch.manual_seed(2)
    a = webtorch.tensor([0.5, 1.5, 2.0], device=device, requires_grad=True)
    D.Dirichlet(a).rsample((20000,))[:, 0].mean().backward()
    np.testing.assert_allclose(a.grad.cpu().numpy(), [3.5 / 16, -0.5 / 16, -0.5 / 16], atol=0.006)


def test_gradients_of_densities_are_pytorchs(device):
    torch = pytest.importorskip("torch")
    for text in ("Normal(p, 2.)", "Gamma(p, 2.)", "Beta(p, 2.)", "StudentT(p)", "Poisson(p)", "Weibull(p, 2.)"):
        value, grads = 1.0 if "Poisson" in text else 0.4, []
        for library, to in ((webtorch, on(device)), (torch, torch.tensor)):
            p = to(1.5).requires_grad_()
            names = {
                "p": p,
                **{
                    name: getattr(library.distributions, name)
                    for name in D.__all__
                    if hasattr(library.distributions, name)
                },
            }
            eval(text, names).log_prob(to(value)).backward()
            grads.append(p.grad.item())
        assert grads[0] == pytest.approx(grads[1], rel=1e-3), text


def test_categories_are_sampled_in_shape(device):
    webtorch.manual_seed(0)
    probs = webtorch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]], device=device)
    drawn = D.Categorical(probs).sample((50, 2))
    assert drawn.shape == (50, 2, 1, 2) and drawn.dtype is webtorch.int64
    assert set(drawn[..., 0].reshape(-1).tolist()) == {0, 1} and set(drawn[..., 1].reshape(-1).tolist()) == {2}
    hot = D.OneHotCategoricalStraightThrough(probs.requires_grad_()).rsample()
    (hot[..., 0, 0]).sum().backward()
    assert hot.sum().item() == 2.0 and probs.grad is not None


def test_expanded_distributions(device):
    for text, values in (CASES[0], CASES[13], CASES[19], CASES[25], CASES[29], CASES[30]):
        distribution, x = made(webtorch, text, on(device)), on(device)(eval(values))
        wide = distribution.expand((4, *distribution.batch_shape))
        assert wide.batch_shape == (4, *distribution.batch_shape) and wide.event_shape == distribution.event_shape
        assert wide.sample((2,)).shape == (2, 4, *distribution.batch_shape, *distribution.event_shape)
        if distribution.batch_shape:
            np.testing.assert_allclose(
                wide.log_prob(x)[3].cpu().numpy(), distribution.log_prob(x).cpu().numpy(), rtol=1e-5
            )


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: D.Normal(0.0, -1.0), ValueError, "Expected parameter scale .*to satisfy the constraint GreaterThan"),
        (lambda: D.Bernoulli(1.5), ValueError, "Expected parameter probs"),
        (lambda: D.Bernoulli(0.5, 0.5), ValueError, "Either `probs` or `logits`"),
        (lambda: D.Categorical(), ValueError, "Either `probs` or `logits`"),
        (lambda: D.Categorical(webtorch.tensor(1.0)), ValueError, "at least one-dimensional"),
        (lambda: D.Categorical(webtorch.tensor([0.5, -0.5])), ValueError, "Expected parameter probs"),
        (lambda: D.Exponential(1.0).log_prob(webtorch.tensor(-1.0)), ValueError, "to be within the support"),
        (lambda: D.Bernoulli(0.5).log_prob(webtorch.tensor(0.5)), ValueError, "to be within the support"),
        (lambda: D.Dirichlet(webtorch.ones(3)).log_prob(webtorch.ones(2)), ValueError, "must match event_shape"),
        (lambda: D.Normal(webtorch.zeros(3), 1.0).log_prob(webtorch.zeros(2)), ValueError, "not broadcastable"),
        (lambda: D.Uniform(1.0, 0.0), ValueError, "low>= high"),
        (lambda: D.MultivariateNormal(webtorch.zeros(2)), ValueError, "Exactly one of"),
        (lambda: D.MultivariateNormal(webtorch.zeros(2), -webtorch.eye(2)), ValueError, "covariance_matrix"),
        (lambda: D.Independent(D.Normal(0.0, 1.0), 1), ValueError, "reinterpreted_batch_ndims"),
        (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.StudentT(1.0)), NotImplementedError, "No KL"),
        (lambda: D.Poisson(1.0).rsample(), NotImplementedError, "has no rsample"),
    ],
)
def test_wrong_arguments(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_checks_can_be_left_out():
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1.0
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale.item() == -1.0
    finally:
        D.Distribution.set_default_validate_args(True)


TRANSFORMS = [
    "ExpTransform()", "SigmoidTransform()", "TanhTransform()", "SoftplusTransform()", "AffineTransform(1., -2.)", "ExpTransform().inv.inv",
    "ComposeTransform([AffineTransform(0., 2.), SigmoidTransform()])", "StickBreakingTransform()",
    "CorrCholeskyTransform()", "CatTransform([ExpTransform(), TanhTransform()], -1, [2, 1])",
    "IndependentTransform(ExpTransform(), 1)", "StackTransform([ExpTransform(), TanhTransform(), SigmoidTransform()], -1)",
]  # fmt: skip


@pytest.mark.parametrize("text", TRANSFORMS)
def test_transforms_are_pytorchs(text, device):
    torch = pytest.importorskip("torch")
    results = []
    for library, to in ((webtorch, on(device)), (torch, torch.tensor)):
        transform, x = made(library, text, to), to([[0.2, -0.5, 1.2], [0.1, 0.4, -1.0]])
        y = transform(x)
        back = transform.inv(y)
        results.append([value.cpu().numpy() for value in (y, back, transform.log_abs_det_jacobian(x, y))])
        np.testing.assert_allclose(results[-1][1], x.cpu().numpy(), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["real", "positive", "unit_interval", "simplex", "lower_cholesky", "positive_definite"]
)
def test_all_reals_are_sent_into_constraints(name, device):
    constraint = getattr(D.constraints, name)
    x = webtorch.tensor([[0.5, -1.0], [2.0, 0.3]], device=device)
    for registry in (D.transform_to, D.biject_to):
        assert bool(constraint.check(registry(constraint)(x)).all())
    assert not bool(D.constraints.simplex.check(x).any()) and not bool(D.constraints.boolean.check(x).any())
    with pytest.raises(NotImplementedError, match="Cannot transform"):
        D.biject_to(D.constraints.boolean)


def test_samples_of_directions(device):
    """The mean of cos(x - loc) is I1 / I0, of its double angle I2 / I0: by numpy's integral of the density."""
    webtorch.manual_seed(5)
    concentration = [1e-4, 0.5, 3.0, 50.0, 3e4]
    x = (
        D.VonMises(webtorch.tensor(2.0, device=device), webtorch.tensor(concentration, device=device))
        .sample((20000,))
        .cpu()
        .numpy()
    )
    assert x.shape == (20000, 5) and (x >= -np.pi - 1e-6).all() and (x < np.pi + 1e-6).all() and not np.isnan(x).any()
    angles = np.linspace(-np.pi, np.pi, 200001)
    for place, kappa in enumerate(concentration):
        density = np.exp(kappa * (np.cos(angles) - 1))
        away = x[:, place] - 2
        for function in (np.cos, np.sin, lambda y: np.cos(2 * y)):
            mean = (function(angles) * density).sum() / density.sum()
            square = (function(angles) ** 2 * density).sum() / density.sum()
            error = np.sqrt(max(square - mean**2, 0) / 20000)
            assert abs(function(away).mean() - mean) < 5 * error + 1e-6


def test_samples_of_correlations(device):
    """Each correlation c of an LKJ matrix has (c + 1) / 2 of a beta distribution: of variance 1 / (2 eta + d - 1)."""
    webtorch.manual_seed(5)
    lower = D.LKJCholesky(4, webtorch.tensor([0.7, 3.0], device=device)).sample((8000,))
    assert lower.shape == (8000, 2, 4, 4)
    correlations = (lower @ lower.mT).cpu().numpy()
    np.testing.assert_allclose(correlations.diagonal(0, -2, -1), 1, atol=1e-5)
    for place, eta in enumerate((0.7, 3.0)):
        for row, column in ((1, 0), (2, 1), (3, 0), (3, 2)):
            c = correlations[:, place, row, column]
            assert abs(c.mean()) < 0.03 and abs(c.var() * (2 * eta + 3) - 1) < 0.07


def test_wishart_gradients(device):
    """The mean of samples is df times the covariance, and so are the gradients."""
    webtorch.manual_seed(5)
    df = webtorch.tensor(5.0, device=device, requires_grad=True)
    lower = webtorch.tensor([[2.0, 0.0], [0.5, 1.0]], device=device, requires_grad=True)
    D.Wishart(df, scale_tril=lower).rsample((20000,))[:, 0, 0].mean().backward()
    assert df.grad.item() == pytest.approx(4.0, rel=0.05) and lower.grad[0, 0].item() == pytest.approx(20.0, rel=0.05)


def test_continuous_bernoulli_numbers(device):
    probs = webtorch.tensor([0.05, 0.4995, 0.9], device=device)
    x = webtorch.tensor([0.01, 0.3, 0.99], device=device)
    distribution = D.ContinuousBernoulli(probs)
    np.testing.assert_allclose(
        distribution.icdf(distribution.cdf(x)).cpu().numpy(), x.cpu().numpy(), rtol=2e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    "make", [lambda: D.Wishart(1.0, webtorch.eye(2)), lambda: D.LKJCholesky(1), lambda: D.VonMises(0.0, -1.0)]
)
def test_parameters_out_of_range(make):
    with pytest.raises(ValueError):
        make()
