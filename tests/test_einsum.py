"""einsum: what PyTorch and numpy make of an equation, gradients, orders of contraction, the seven errors, the cache."""

import importlib
import sys

import numpy as np
import pytest
from programs import Programs

import webtorch
from webtorch.autograd import gradcheck
from webtorch.einsum import EinsumError, best_tree, contraction_path, opt_einsum_path, positions

program = Programs("einsum")

# An equation and the shapes of its operands.
EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("i,i->", (5,), (5,)), ("i,j->ij", (2,), (3,)), ("ij->ji", (2, 3)),
    ("ij->", (2, 3)), ("ij->j", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->ji", (3, 3, 2)), ("iii->i", (3, 3, 3)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("bij,kj->bik", (2, 3, 4), (5, 4)), ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    ("...i->...", (2, 3)), ("...", (2, 3)), ("i...->i", (2, 3, 4)), ("...i,...i", (2, 3), (2, 3)), ("a...b->b...a", (2, 3, 4)),
    ("b n , b m -> n m", (2, 3), (2, 4)), ("zA,Az", (2, 3), (3, 2)), ("bA", (2, 3)), ("ij,ij->ij", (2, 3), (2, 1)),
    ("ij,jk->ik", (2, 1), (3, 4)), ("ij,kl->", (2, 3), (4, 5)), ("ij,ik,il->jkl", (3, 2), (3, 4), (3, 2)),
    ("ab,bc,cd,de->ae", (2, 9), (9, 2), (2, 9), (9, 2)), ("i,ij,j->", (3,), (3, 4), (4,)), ("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    (",ij->ij", (), (2, 3)), (",,->", (), (), ()), ("->", ()), ("ij,jk->ik", (2, 0), (0, 3)), ("ij->j", (0, 3)),
    ("iji,jj->ij", (2, 3, 2), (3, 3)),
    ("i,i,i,i,i,i,i,i,i->i", *[(2,)] * 9), ("ab,bc,cd,de,ef,fg,gh,hi->ai", *[(2, 3), (3, 2)] * 4), ("...a,b->...ab", (2, 3), (4,)),
    ("abcd,ecdf->abef", (2, 3, 2, 2), (2, 2, 2, 3)), ("i...,i...->...", (3, 2, 1), (3, 4)),
]  # fmt: skip


def operands(m, shapes):
    random = np.random.default_rng(7)
    return [m.tensor(random.integers(-4, 5, shape).astype(np.float32)) for shape in shapes]


@program
def equations(m):
    for equation, *shapes in EQUATIONS:
        yield m.einsum(equation, *operands(m, shapes))


@program
def integers(m):
    a, b = m.arange(6).reshape(2, 3), m.arange(12, dtype=m.int32).reshape(3, 4)
    yield m.einsum("ij,kj->ik", a, a), m.einsum("ij->j", b), m.einsum("ii->", b[:, :3]), m.einsum("ij,ij->ij", a, a)


@program
def sublists(m):
    a, b = operands(m, [(2, 3), (3, 4)])
    yield (
        m.einsum(a, [0, 1], b, [1, 2], [0, 2]),
        m.einsum(a, [0, 1], b, [1, 2]),
        m.einsum(a, [51, 0]),
        m.einsum(a, [26, 25]),
    )
    yield m.einsum(a, [..., 1], b, [1, 2], [2, ...]), m.einsum(a, [0, ...], [...]), m.einsum("ij,jk", [a, b])


@program
def gradients(m):
    for equation, *shapes in EQUATIONS:
        leaves = [tensor.requires_grad_() for tensor in operands(m, shapes)]
        result = m.einsum(equation, *leaves)
        (result * (m.arange(result.numel(), dtype=m.float32).reshape(result.shape) + 1)).sum().backward()
        yield [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("name", program.names())
def test_program(name, device):
    program.check(name, device)


@pytest.mark.parametrize("name", program.names())
def test_program_means_the_same_to_pytorch(name):
    program.check_torch(name)


def test_numpy_agrees(device):
    for equation, *shapes in EQUATIONS:
        if equation == "i...->i" or any(1 in shape for shape in shapes):
            continue  # summing over an ellipsis and broadcasting a letter are PyTorch's
        arrays = [np.asarray(tensor.numpy()) for tensor in operands(webtorch, shapes)]
        ours = webtorch.einsum(equation, *[webtorch.tensor(array, device=device) for array in arrays])
        np.testing.assert_allclose(ours.numpy(), np.einsum(equation, *arrays), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("equation", ["ij,jk->ik", "ii,ij->j", "ij,kj,k->i"])
def test_gradient(equation):
    shapes = {"ij,jk->ik": [(2, 3), (3, 2)], "ii,ij->j": [(3, 3), (3, 2)], "ij,kj,k->i": [(2, 3), (4, 3), (4,)]}[
        equation
    ]
    random = np.random.default_rng(3)
    leaves = [webtorch.tensor(random.normal(size=shape), device="cpu", requires_grad=True) for shape in shapes]
    assert gradcheck(lambda *tensors: webtorch.einsum(equation, *tensors), leaves)


# ---- the order of contraction ---------------------------------------------------------------------------------------


def work(path, terms, output, size):
    """Multiplications along a path, counted anew."""
    alive, total = [set(term) for term in terms], 0
    for first, second in path:
        b, a = alive.pop(second), alive.pop(first)
        total += int(np.prod([size[subscript] for subscript in a | b]))
        alive.append((a | b) & set(output).union(*alive))
    assert len(alive) == 1
    return total


def test_a_chain_of_matrices_is_multiplied_from_its_cheap_end():
    terms, size = (("a", "b"), ("b", "c"), ("c", "d")), {"a": 100, "b": 100, "c": 100, "d": 1}
    path = contraction_path(terms, ("a", "d"), tuple(size.items()))
    assert path[0] == (1, 2) and work(path, terms, "ad", size) == 2 * 100 * 100


def test_the_exhaustive_order_is_the_best_of_all_orders():
    random = np.random.default_rng(0)
    for _ in range(10):
        letters = "abcdef"
        terms = tuple(tuple(random.permutation(list(letters))[:2].tolist()) for _ in range(4))
        size = {letter: int(random.integers(2, 9)) for letter in letters}
        output = (terms[0][0],)
        shared = {x for x in letters if sum(x in term for term in terms) > 1} | set(output)
        terms = tuple(tuple(x for x in term if x in shared) for term in terms)  # the rest has been summed before

        def all_paths(count):
            if count == 1:
                yield ()
                return
            for second in range(1, count):
                for first in range(second):
                    for rest in all_paths(count - 1):
                        yield ((first, second), *rest)

        best = min(work(path, terms, output, size) for path in all_paths(4))
        assert work(positions(4, best_tree(terms, output, size)), terms, output, size) == best


def test_the_greedy_order_of_a_long_chain_is_good():
    letters = "abcdefghijk"
    terms = tuple(zip(letters, letters[1:], strict=False))
    size = {letter: 2 if n % 2 else 50 for n, letter in enumerate(letters)}
    path = contraction_path(terms, ("a", "k"), tuple(size.items()))
    left_to_right = ((0, 1), *((0, count - 1) for count in range(9, 1, -1)))
    assert work(path, terms, "ak", size) < work(left_to_right, terms, "ak", size)


# A tree: two long chains that are joined only at the end. Many operands, so that not all orders are tried.
MANY = [("ab", 40, 2), ("bc", 2, 40), ("cd", 40, 2), ("de", 2, 40), ("ef", 40, 2), ("fg", 2, 40), ("gh", 40, 2), ("hi", 2, 40),
        ("ij", 40, 2), ("ja", 2, 40)]  # fmt: skip


@pytest.mark.parametrize("installed", [True, False])
def test_many_operands_take_a_cheap_order(installed, monkeypatch, device):
    if installed:
        importlib.import_module("opt_einsum")
    else:
        monkeypatch.setitem(sys.modules, "opt_einsum", None)  # importing it raises ImportError
    webtorch.clear_einsum_cache()
    terms = tuple(tuple(term) for term, *_ in MANY)
    size = {letter: extent for term, *extents in MANY for letter, extent in zip(term, extents, strict=True)}
    path = contraction_path(terms, (), tuple(size.items()))
    found = opt_einsum_path(terms, (), size)
    assert (found is not None) == installed
    left_to_right = ((0, 1), *((0, count - 1) for count in range(len(MANY) - 1, 1, -1)))
    assert work(path, terms, "", size) * 3 < work(left_to_right, terms, "", size)
    random = np.random.default_rng(5)
    arrays = [random.normal(size=extents).astype(np.float32) for _, *extents in MANY]
    equation = ",".join(term for term, *_ in MANY) + "->"
    wanted = np.einsum(equation, *(array.astype(np.float64) for array in arrays), optimize=True)
    tensors = [webtorch.tensor(array, device=device) for array in arrays]
    assert webtorch.einsum(equation, *tensors).item() == pytest.approx(float(wanted), rel=1e-4)
    sublists = [part for (term, *_), tensor in zip(MANY, tensors) for part in (tensor, [ord(c) - 71 for c in term])]
    assert webtorch.einsum(*sublists, []).item() == pytest.approx(float(wanted), rel=1e-4)


def test_a_chain_of_four_is_computed_in_the_cheap_order():
    """By the shapes of what is multiplied, not by what the planner says."""
    tensors = [webtorch.ones(*shape, device="cpu") for shape in ((60, 50), (50, 40), (40, 30), (30, 1))]
    webtorch.clear_einsum_cache()
    with webtorch.profiler.profile(record_shapes=True) as profiled:
        result = webtorch.einsum("ab,bc,cd,de->ae", *tensors)
    assert result.shape == (60, 1) and result[0, 0].item() == 50 * 40 * 30
    shapes = [shape for event in profiled.events() for shape in event.input_shapes or []]
    assert [40, 1] in shapes and [50, 1] in shapes  # the results of the first two steps are what the next ones take
    assert [60, 40] not in shapes and [50, 30] not in shapes and [60, 30] not in shapes


def test_ellipsis_and_letters_in_a_long_equation(device):
    terms = ["...a", "ab", "bc", "cd", "de", "ef", "fg", "...g"]
    random = np.random.default_rng(2)
    shapes = [(3, 2), (2, 3), (3, 2), (2, 3), (3, 2), (2, 3), (3, 2), (4, 1, 2)]
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    equation = ",".join(terms) + "->..."
    found = webtorch.einsum(equation, *(webtorch.tensor(array, device=device) for array in arrays))
    np.testing.assert_allclose(found.numpy(), np.einsum(equation, *arrays, optimize=True), rtol=1e-4, atol=1e-4)


# ---- what is refused ------------------------------------------------------------------------------------------------

REFUSED = {
    "invalid_equation": [
        lambda x: webtorch.einsum("i1,ij", x, x), lambda x: webtorch.einsum("ij->i->j", x), lambda x: webtorch.einsum("i.j", x),
        lambda x: webtorch.einsum("...i...", x), lambda x: webtorch.einsum("ij->ii", x), lambda x: webtorch.einsum("ij->i,j", x),
    ],
    "operand_count_mismatch": [lambda x: webtorch.einsum("ij,jk->ik", x), lambda x: webtorch.einsum("ij", x, x),
                               lambda x: webtorch.einsum("ij")],
    "subscript_rank_mismatch": [lambda x: webtorch.einsum("ijk", x), lambda x: webtorch.einsum("i->i", x),
                                lambda x: webtorch.einsum("...ijk", x)],
    "dimension_mismatch": [lambda x: webtorch.einsum("ij,jk", x, x), lambda x: webtorch.einsum("ii", x),
                           lambda x: webtorch.einsum("...,...", x, x.t())],
    "unknown_output_index": [lambda x: webtorch.einsum("ij->k", x), lambda x: webtorch.einsum(x, [0, 1], [2])],
    "index_out_of_range": [lambda x: webtorch.einsum(x, [0, 52]), lambda x: webtorch.einsum(x, [-1, 0])],
    "invalid_sublist_element": [lambda x: webtorch.einsum(x, [0, "a"]), lambda x: webtorch.einsum(x, [..., ...]),
                                lambda x: webtorch.einsum(x, 3), lambda x: webtorch.einsum(x, [0, 1.5])],
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSED)
def test_refused(code, device):
    x = webtorch.zeros(2, 3, device=device)
    for call in REFUSED[code]:
        with pytest.raises(EinsumError) as caught:
            call(x)
        assert caught.value.code == f"einsum_error_{code}" and str(caught.value).startswith(
            f"einsum_error_{code}: einsum("
        )


def test_the_error_marks_the_place():
    with pytest.raises(EinsumError) as caught:
        webtorch.einsum("ij,j?->i", webtorch.zeros(2, 3), webtorch.zeros(3, 2))
    equation, mark = str(caught.value).splitlines()[1:]
    assert equation[mark.index("^")] == "?"


def test_the_cache_of_equations():
    webtorch.clearEinsumCache()
    x = webtorch.ones(2, 2)
    for _ in range(3):
        webtorch.einsum("ij->ji", x), webtorch.einsum("ij->i", x)
    assert webtorch.getEinsumCacheSize() == webtorch.einsum_cache_size() == 2
    webtorch.clear_einsum_cache()
    assert webtorch.getEinsumCacheSize() == 0
    for number in range(1100):
        webtorch.einsum("ij->ji" + " " * number, x)
    assert webtorch.getEinsumCacheSize() == 1024
