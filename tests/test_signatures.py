"""Names, order and kind of arguments are PyTorch's, for every function that both have; `out=` is where PyTorch has it."""

import inspect
import json
import pathlib

import pytest

import webtorch

GOLDENS = json.loads((pathlib.Path(__file__).parent / "goldens" / "signatures.json").read_text())
OVERLOADS = "the recorded schema is one of several overloads, ours takes what all of them take"
PYTHON = "PyTorch's Python function names its arguments otherwise than its schema does; ours are the Python names"
# Where ours differ, and why.
DIFFERENT = {
    **dict.fromkeys(("arange", "max", "min", "randint", "randint_like", "repeat_interleave", "scatter"), OVERLOADS),
    **dict.fromkeys(("std", "std_mean", "var", "var_mean", "split", "tensor_split"), OVERLOADS),
    **dict.fromkeys(
        ("as_tensor", "stft", "tensor", "initial_seed", "seed", "promote_types", "result_type", "tensordot"), PYTHON
    ),
    **dict.fromkeys(("cholesky_inverse", "cholesky_solve", "lu_solve", "orgqr", "ormqr", "triangular_solve"), PYTHON),
    "dropout": "torch.js has nn.functional's dropout at top level, whose third argument is `training`; `train` is taken, too",
    "nuclear_norm": "the schema without dimensions is another overload",
    "rrelu": "the generator is the default one",
}
NO_OUT = {
    **dict.fromkeys(("empty_like", "full_like", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like"), "only documented"),
    **dict.fromkeys(("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"), "only documented"),
    **dict.fromkeys(("empty_permuted", "empty_strided"), "only documented"),
    **dict.fromkeys(("tril_indices", "triu_indices", "std_mean", "var_mean", "histogramdd"), "only documented"),
}  # fmt: skip
FUNCTIONS = [name for name in GOLDENS if inspect.isfunction(getattr(webtorch, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_those_of_pytorch(name):
    parameters = inspect.signature(getattr(webtorch, name)).parameters
    golden = GOLDENS[name]
    if any(one.kind is one.VAR_POSITIONAL for one in parameters.values()) or name in DIFFERENT:
        return
    positional = [key for key, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional[: len(golden["positional"])] == golden["positional"]
    assert set(golden["keywords"]) <= set(parameters)


@pytest.mark.parametrize("name", [name for name in GOLDENS if GOLDENS[name]["out"] and name not in NO_OUT])
def test_out_is_taken_where_pytorch_takes_it(name):
    function = getattr(webtorch, name)
    if inspect.isfunction(function):
        assert "out" in inspect.signature(function).parameters
    else:  # a row: its call takes it by name, or passes all it is given on to what does
        assert {"out", "given"} & set(inspect.signature(type(function).__call__).parameters)


def test_out_of_several_results(device):
    x = webtorch.tensor([3.0, 1.0, 2.0], device=device)
    values, places = webtorch.zeros(3, device=device), webtorch.zeros(3, dtype=webtorch.int64, device=device)
    result = webtorch.sort(x, out=(values, places))
    assert result.values is values and values.tolist() == [1.0, 2.0, 3.0] and places.tolist() == [1, 2, 0]
    out = webtorch.zeros(2, 2, device=device)
    assert webtorch.tril(webtorch.ones(2, 2, device=device), out=out) is out and out.tolist() == [[1, 0], [1, 1]]
    with pytest.raises(TypeError, match="expected a tuple of 2 tensors"):
        webtorch.sort(x, out=values)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        webtorch.msort(x.requires_grad_(), out=values)


def test_differences_are_real():
    """An entry above that has become unnecessary goes."""
    assert set(DIFFERENT) <= set(GOLDENS) and set(NO_OUT) <= {name for name in GOLDENS if GOLDENS[name]["out"]} | {
        "histogramdd"
    }
    for name in NO_OUT:
        function = getattr(webtorch, name)
        assert "out" not in inspect.signature(function).parameters
