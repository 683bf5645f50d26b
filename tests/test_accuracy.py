"""The accuracy of float32 functions: the measure itself, the exact values it compares with, the command, and the page."""

import math
import pathlib

import numpy as np
import pytest

from webtorch.__main__ import main
from webtorch.accuracy import measure, report, samples, sources, walk
from webtorch.accuracy.oracle import EITHER_ZERO, oracle, rows

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORDED = report.read(ROOT / "docs" / "accuracy.json")
ROWS = sorted(rows())
F = np.float32


# ---- the measure ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("got", "exact", "error"),
    [
        (1.0, 1.0, 0.0),
        (1.0, 1 + 2.0**-24, 0.5),
        (1 - 2.0**-24, 1.0, 0.5),  # the spacing is the one at the exact value, 2^-23
        (1.0, 1 - 2.0**-24, 1.0),
        (2.0**-126, 0.0, 2.0**23),  # 0 has the spacing of the denormals
        (2.0**-149, 1.5 * 2.0**-149, 0.5),
        (math.inf, 2.0**128 - 2.0**103, 0.5),
        (3.4028234663852886e38, 1e60, 1.0),  # too long finite
        (math.inf, 1e60, 0.0),
        (math.inf, 3e38, (2.0**128 - 3e38) / 2.0**104),  # too early infinite
        (-math.inf, 1e60, 2.0**25),
    ],
)
def test_ulps(got, exact, error):
    assert measure.ulps(np.array([got], F), np.array([exact]))[0] == error
    assert measure.ulps(np.array([-got], F), np.array([-exact]))[0] == error


def record_of(got, x, function, **options):
    x = np.array(x, F)
    return measure.compare(np.array(got, F), function(x.astype(float)), [x], function, **options)


def test_special_values_and_signs_of_zeros():
    nan, inf = math.nan, math.inf
    with np.errstate(all="ignore"):
        right = record_of([nan, -inf, inf, nan], [-1, 0, inf, nan], np.log)
        assert (right.special, right.wrong, right.worst, right.finite) == (4, 0, 0, 0)
        for wrong in ([0, -inf, inf, nan], [nan, inf, inf, nan], [nan, nan, inf, nan], [nan, -3e38, inf, nan]):
            assert record_of(wrong, [-1, 0, inf, nan], np.log).wrong == 1
        lost = record_of([nan, 0.0], [1, 1], np.log)
    assert (lost.wrong, lost.wrong_at[0]) == (1, 1.0)
    assert record_of([0.0, 0.0], [0.0, -0.0], np.sin).wrong == 1
    assert record_of([0.0, 0.0], [0.0, -0.0], np.sin, either_zero=True).wrong == 0


def test_flushed_denormals_are_told_from_errors():
    tiny = 1e-40
    flushed = record_of([0.0, -0.0], [tiny, -tiny], np.sin)
    assert (flushed.flushed, flushed.worst, flushed.wrong) == (2, 0, 0)
    assert record_of([-0.0], [tiny], np.sin).flushed == 0  # not with the other sign
    with np.errstate(all="ignore"):
        pole = record_of([-math.inf], [tiny], np.log)  # the result for 0
    assert (pole.flushed, pole.worst, pole.wrong) == (1, 0, 0)
    assert record_of([1.0], [tiny], np.sin).worst > 1e6
    assert record_of([0.0], [1e-30], np.sin).worst > 1e6


def test_differences_and_digests_leave_out_what_drivers_may_do():
    x = np.array([1, 2, 1e-40, 3], F)
    first, other = np.array([5, np.nan, 7, 1e-40], F), np.array([5, -np.nan, 8, 0], F)
    assert not measure.differences(first, other, [x]).any()
    assert (measure.canonical(first, [x]) == measure.canonical(other, [x])).all()
    other[0] = np.nextafter(F(5), F(6))
    assert measure.differences(first, other, [x]).tolist() == [True, False, False, False]
    assert (measure.canonical(first, [x]) != measure.canonical(other, [x])).any()


KINDS = {
    "plain": (0.5, 3.0, np.exp), "huge": (90.0, 2000.0, np.exp), "nothing": (-1000.0, -105.0, np.exp),
    "mixed": (-110.0, 110.0, np.exp), "nan": (-9.0, -1.0, np.log), "ends": (-1.0, 1.0, np.arctanh),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoilt", [None, math.nan, -0.0, math.inf, -3e38, 1e-40])
def test_blocks_of_one_kind_are_compared_like_others(kind, spoilt):
    low, high, function = KINDS[kind]
    x = np.linspace(low, high, 1001).astype(F)
    with np.errstate(all="ignore"):
        exact = function(x.astype(float))
        got = np.nextafter(exact.astype(F), F(1)) if kind in ("plain", "mixed") else exact.astype(F)
        if spoilt is not None:
            got[500] = spoilt
        reference, general = measure.Reference(exact, [x]), measure.Reference(exact, [x])
        assert reference.kind == (kind if kind in ("plain", "huge", "nothing") else "huge" if kind == "nan" else "")
        general.kind = ""
        quick, slow = (measure.compare(got, each, [x], function) for each in (reference, general))
    assert quick.total == pytest.approx(slow.total)
    quick.total = slow.total
    assert str(quick) == str(slow)  # NaN is not equal to itself
    assert (spoilt is None) <= (slow.wrong == 0)


# ---- the exact values -----------------------------------------------------------------------------------------------


def test_exact_values_of_special_functions_are_python_s():
    """erf, erfc and lgamma against the math module, in units of float64."""
    generator = np.random.default_rng(5)
    x = np.concatenate([generator.normal(0, 3, 2000), np.exp(generator.uniform(-30, 4, 1000))]).astype(F)
    for name, function, most in (("erf", math.erf, 4), ("erfc", math.erfc, 64), ("lgamma", math.lgamma, 64)):
        ours = oracle(name)(x.astype(float))
        wanted = np.array([function(value) for value in x.astype(float).tolist()])
        size = np.maximum(np.abs(wanted), 1.0 if name == "lgamma" else 1e-300)
        assert (np.abs(ours - wanted) <= most * 2.0**-52 * size).all(), name


# Rows for which PyTorch's float64 is no measure, and why.
UNLIKE = {
    "sinc": "PyTorch multiplies pi first, which loses the argument",
    "gelu": "PyTorch's form cancels below -5",
    "_gelu_tanh": "PyTorch's form cancels below -5",
    "logit": "PyTorch's form cancels around 1/2",
    "tanhshrink": "PyTorch's form cancels around 0",
    "digamma": "PyTorch is off by 1e-12 and more below 0",
    "_polygamma": "PyTorch is off by 1e-12 and more below 0",
    "lgamma": "glibc's is good to 1e-10 next to the zeros below 0",
    "nextafter": "there is another next number in float64",
    "nan_to_num": "infinity becomes another number in float64",
    "ldexp": "PyTorch overflows in 2**y",
    "remainder": "PyTorch gives NaN where the quotient overflows",
    "fmod": "PyTorch gives NaN where the quotient overflows",
    "_i1": "PyTorch's value at -0 is +0",
    "erfinv": "PyTorch is off by 1e-12 close to 1",
    "_frexp_mantissa": "PyTorch's exponents of infinities are arbitrary",
    "_frexp_exponent": "PyTorch's exponents of infinities are arbitrary",
}


@pytest.mark.parametrize("name", [name for name in ROWS if name not in UNLIKE])
def test_exact_values_are_pytorch_s(name):
    """In float64, to a thousandth of a float32 ulp; NaN, infinities and signs of zeros exactly."""
    torch = pytest.importorskip("torch")
    theirs = sources.Torch()
    function = theirs.function(name)
    if not theirs.has(name):
        assert name.startswith("_")
        return
    with np.errstate(invalid="ignore"):  # signalling NaNs
        arguments = [x.astype(float) for x in samples.sample(name, rows()[name].inputs, 1 << 12)]
    if name in ("fmax", "fmin", "hypot"):  # C leaves open what a signalling NaN gives
        keep = ~(np.isnan(arguments[0]) | np.isnan(arguments[1]))
        arguments = [x[keep] for x in arguments]
    theirs = function(*(torch.from_numpy(x) for x in arguments)).numpy().astype(float)
    ours = oracle(name)(*arguments)
    small = np.abs(theirs) < 1e-300  # float64 underflows where float32 is 0 long since
    with np.errstate(invalid="ignore"):
        close = np.abs(ours - theirs) <= 2.0**-33 * np.abs(theirs)
    same = (np.isnan(ours) & np.isnan(theirs)) | (ours == theirs) | close | (small & (np.abs(ours) < 1e-300))
    worst = np.flatnonzero(~same)[:5]
    assert same.all(), [(*(x[i] for x in arguments), ours[i], theirs[i]) for i in worst]
    if name not in EITHER_ZERO:
        zero = (theirs == 0) & (ours == 0)
        unequal = np.flatnonzero(zero & (np.signbit(ours) != np.signbit(theirs)))[:5]
        assert not unequal.size, [(*(x[i] for x in arguments), ours[i], theirs[i]) for i in unequal]


# ---- the recorded tables --------------------------------------------------------------------------------------------


def test_the_page_is_what_the_command_makes():
    assert (ROOT / "docs" / "accuracy.md").read_text("utf-8") == report.page(RECORDED)


def test_the_record_holds_no_row_that_is_gone():
    """A row that is new is held to the bound of all rows until it is recorded."""
    assert set(RECORDED["rows"]) <= set(ROWS), "run: python -m webtorch accuracy --output docs/accuracy.md"


def recorded(name, column, software):
    """The worst error in the record: of that column, or on an unknown GPU twice that of llvmpipe and a bit."""
    if name not in RECORDED["rows"]:
        return 4
    records = RECORDED["rows"][name]["records"]
    if column in records and software:
        return records[column]["worst"]
    return 2 * records["llvmpipe"]["worst"] + 4


def test_no_function_is_worse_than_recorded(device):
    source = sources.Local(device)
    software = source.name in ("numpy", "llvmpipe", "SwiftShader")
    slack = 4 if device == "cpu" else 0  # numpy's own functions depend on the processor
    worse = {}
    for name in ROWS:
        alone = rows()[name].inputs == 1
        record = walk.sampled(name, [source], 1 << 18 if alone else 1 << 12)[source.name]
        # A smaller sample of two arguments may still hit upon a worse place.
        allowed = max(recorded(name, source.name, software), slack) * (1 if alone else 1.5)
        wild = allowed > 1000  # a difference of almost equal numbers: another sample may hit upon a worse one
        entry = RECORDED["rows"].get(name, {"records": {}})
        known = entry["records"].get(source.name, {"wrong": 0})["wrong"]
        if (record.worst > allowed and not wild) or (record.wrong and not known):
            worse[name] = (record.worst, record.worst_at, allowed, record.wrong, record.wrong_at)
    assert not worse


COMMON = """exp exp2 expm1 log log2 log10 log1p pow sqrt rsqrt sin cos tan asin acos atan atan2 sinh cosh tanh sigmoid
    reciprocal div hypot erf""".split()
# What is more than 4 ulps off, and PyTorch is at least as far off.
LIKE_PYTORCH = """gelu _gelu_tanh logit _logit_clamped hardswish tanhshrink lgamma digamma _i1 _polygamma logaddexp logaddexp2
    _lerp_scalar _div_trunc""".split()


def test_the_bounds_are_kept():
    """2 ulps for the common functions and 4 for the others, unless PyTorch is farther off; all special values right."""
    for name, entry in RECORDED["rows"].items():
        for column in ("llvmpipe", "SwiftShader"):
            record = entry["records"][column]
            assert record["wrong"] == 0, (name, column)
            if name in LIKE_PYTORCH:
                theirs = entry["records"].get("PyTorch")
                assert theirs is None or record["worst"] <= 2 * theirs["worst"], (name, column)
                continue
            assert record["worst"] <= (2 if name in COMMON else 4), (name, column)


# ---- the command ----------------------------------------------------------------------------------------------------


def test_exhaustive_runs_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "CHUNK", 1 << 12)
    monkeypatch.setattr(samples, "RANGES", ((0x3F800000, 0x3F804000), (0xBF800000, 0xBF804000)))
    monkeypatch.setattr(walk, "SAVE_EVERY", 0.0)
    source = [sources.Local("cpu")]
    whole = walk.exhaustive("tanh", source, walk.State(source, tmp_path / "whole"))["numpy"]
    assert whole.count == 1 << 15
    stopped, pieces = 0, tmp_path / "pieces"
    while (records := walk.exhaustive("tanh", source, walk.State(source, pieces), deadline=0.0)) is None:
        stopped += 1
    assert stopped == 7 and records["numpy"] == whole
    # A finished run is not repeated; one of a function that has changed since is.
    state = walk.State(source, pieces)
    assert walk.exhaustive("tanh", source, state)["numpy"] == whole
    state.ops["tanh"]["fingerprint"] = "another"
    assert walk.exhaustive("tanh", source, state)["numpy"] == whole
    assert [path.name for path in pieces.iterdir()] == [state.path.name]  # nothing half-written is left


def test_all_float32_numbers_are_walked_once():
    position = 0
    for first, count in samples.ranges():
        skipped = first - position
        assert skipped >= 0 and count <= samples.CHUNK
        if skipped:  # only NaNs are left out
            assert np.isnan(samples.chunk(position, 1)[0]) and np.isnan(samples.chunk(first - 1, 1)[0])
            assert skipped < 1 << 23
        position = first + count
    assert position == 1 << 32


def test_the_command(tmp_path, capsys):
    page = tmp_path / "table.md"
    assert main(["accuracy", "--ops", "exp,abs", "--device", "cpu", "--output", str(page)]) == 0
    assert "exp " in capsys.readouterr().out
    results = report.read(tmp_path / "table.json")
    assert set(results["rows"]) == {"exp", "abs"} and page.read_text("utf-8") == report.page(results)
    assert results["rows"]["abs"]["records"]["numpy"]["worst"] == 0
    assert 0.5 < results["rows"]["exp"]["records"]["numpy"]["worst"] < 4
    assert main(["accuracy", "--ops", "log", "--device", "cpu", "--output", str(page), "--quiet"]) == 0
    assert set(report.read(tmp_path / "table.json")["rows"]) == {"exp", "abs", "log"}


def test_the_command_names_what_it_does_not_know(capsys):
    assert main(["accuracy", "--ops", "nothing", "--device", "cpu"]) == 2
    assert "nothing is not a float32 row" in capsys.readouterr().err
    assert main(["accuracy", "--exhaustive", "--ops", "pow", "--device", "cpu"]) == 2
    assert main(["accuracy", "--ops", "exp", "--device", "toaster"]) == 2


@pytest.mark.gpu
def test_adapters_in_processes_of_their_own(capsys):
    """The results of an adapter's process are those of this one; an adapter that is not there is named."""
    name = sources.Local("webgpu").name.split()[0]
    assert main(["accuracy", "--ops", "exp,pow", "--adapter", name, "--device", "webgpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.count(name) == 1 for line in lines)
    assert len({line.split()[-1] for line in lines}) == 2
    assert main(["accuracy", "--ops", "exp", "--adapter", "no such adapter"]) == 2
    assert "no such adapter" in capsys.readouterr().err
