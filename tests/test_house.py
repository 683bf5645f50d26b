"""The house is kept: rows are complete, names are where they belong, files have one purpose and a reader's size."""

import ast
import inspect
import pathlib
import re

import numpy as np
import pytest

import webtorch
from webtorch import autograd, codegen, prelude, shaders_path
from webtorch.ops import INPUT_NAMES, TABLE, Op
from webtorch.ops.elementwise import Elementwise
from webtorch.ops.inplace import INPLACE
from webtorch.ops.variant import Variant
from webtorch.ops.view import View

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "webtorch"
SHADERS = ROOT / "shaders"
MODULES = sorted(PACKAGE.rglob("*.py"))

# ---- the public namespace -------------------------------------------------------------------------------------------

NAMES = {
    "unary": """abs acos acosh angle asin asinh atan atanh bitwise_not ceil clamp conj conj_physical cos cosh deg2rad digamma erf
        erfc erfinv exp exp2 expm1 floor frac frexp i0 imag lgamma log log10 log1p log2 logical_not nan_to_num neg positive
        rad2deg real reciprocal round rsqrt sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc""",
    "binary": """add addcdiv addcmul atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign div
        float_power floor_divide fmax fmin fmod gcd heaviside hypot lcm ldexp lerp logaddexp logaddexp2 logical_and logical_or
        logical_xor maximum minimum mul nextafter pow remainder sub true_divide xlogy""",
    "comparison": "allclose eq equal ge gt isclose isfinite isin isinf isnan isneginf isposinf isreal le lt ne",
    "activation": """celu dropout elu elu_ gelu glu hardshrink hardsigmoid hardswish hardtanh hardtanh_ leaky_relu leaky_relu_ linear
        log_softmax logsigmoid mish prelu relu relu_ relu6 rrelu rrelu_ selu silu softmax softmin softplus softshrink softsign
        tanhshrink threshold threshold_""",
    "products": "addbmm addmm addmv addr baddbmm bmm chain_matmul dot kron matmul mm mv outer tensordot vdot",
    "reductions": """all any sum mean prod max min amax amin argmax argmin var std std_mean var_mean logsumexp count_nonzero norm
        cumsum cumprod nansum nanmean aminmax""",
    "views": """permute transpose t expand narrow select unsqueeze squeeze flip diagonal unfold reshape flatten movedim unbind split
        chunk swapaxes broadcast_to broadcast_tensors""",
    "joining and indexing": """cat concat stack gather scatter scatter_add index_select index_add index_copy index_fill index_put
        masked_fill masked_select nonzero take_along_dim tril triu where clone""",
    "creation": """tensor as_tensor from_numpy zeros ones full empty arange linspace eye zeros_like ones_like full_like empty_like
        rand randn randint randperm rand_like randn_like randint_like manual_seed""",
    "dtypes": "float32 float16 float64 int32 int64 uint8 int8 bool half float double long int promote_types result_type finfo iinfo",
    "modes": "no_grad enable_grad grad_mode set_grad_enabled is_grad_enabled inference_mode",
    "devices": """device get_default_device set_default_device is_webgpu_available is_cpu_only_mode requireWebGPU list_devices
        initialize_device sync_device""",
}
METHODS = """add sub mul div pow abs neg exp log sqrt sin cos tanh sigmoid relu softmax sum mean prod max min amax amin argmax argmin var
    std norm cumsum cumprod any all matmul mm bmm mv dot addmm view reshape permute transpose t expand narrow select unsqueeze
    squeeze flip flatten unbind split chunk repeat gather scatter index_select masked_fill clone detach contiguous to cpu numpy tolist
    item backward requires_grad_ retain_grad detach_ add_ sub_ mul_ div_ zero_ fill_ copy_ float half double int long bool eq lt
    where clamp lerp round floor isnan logical_not tril triu type_as size stride dim numel is_contiguous element_size register_hook"""


@pytest.mark.parametrize("family", NAMES)
def test_public_names_exist(family):
    missing = [name for name in NAMES[family].split() if not hasattr(webtorch, name)]
    assert not missing


def test_methods_exist():
    assert not [name for name in METHODS.split() if not hasattr(webtorch.Tensor, name)]


def test_the_public_function_is_the_row_and_so_is_the_method():
    for name, row in TABLE.items():
        if not row.public:
            assert name.startswith("_"), f"{name} is not public and not named so"
            continue
        assert getattr(webtorch, name) is row, name
        if name not in ("where", "complex", "polar"):  # as a method its inputs are in another order; two are none
            assert inspect.getattr_static(webtorch.Tensor, name) is row, name
    for name, form in INPLACE.items():
        assert getattr(webtorch, name) is form and inspect.getattr_static(webtorch.Tensor, name) is form, name


def test_the_package_defines_nothing():
    """webtorch/__init__.py holds names; what they stand for is elsewhere."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    defined = [node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert set(defined) <= {"__dir__", "__getattr__"}


# ---- rows -----------------------------------------------------------------------------------------------------------


def test_every_public_row_is_documented_with_an_example():
    for name, row in TABLE.items():
        if row.public:
            assert row.__doc__ and ">>>" in row.__doc__, f"{name} has no example"
            assert f"{name}" in row.__doc__ or f"{row.method_name}" in row.__doc__, (
                f"{name}: the example is of something else"
            )
        if isinstance(row, Variant):
            assert row.name in TABLE or hasattr(webtorch, row.name), f"{name} is a variant of nothing"


def test_every_row_says_what_it_computes():
    for name, row in TABLE.items():
        own = type(row).evaluate is not Op.evaluate
        assert own or callable(row.numpy), f"{name} cannot be computed by numpy"
        if isinstance(row, Elementwise) and type(row).emit is Elementwise.emit:
            assert callable(row.numpy) or type(row).evaluate is not Elementwise.evaluate, name
            assert row.wgsl and all(row.wgsl.values()), f"{name} has no WGSL"
        if isinstance(row, View):
            assert callable(row.geometry), name
        low, high = row.domain
        assert low < high and np.isfinite([low, high]).all(), name


def test_every_expression_is_complete():
    """The WGSL of each row names its inputs, its scalars and functions of the shader library, and nothing else."""
    for name, row in TABLE.items():
        if not isinstance(row, Elementwise):
            continue
        for text in row.wgsl.values():
            holes = set(re.findall(r"{(\w+)}", text))
            assert holes <= {*INPUT_NAMES[: row.inputs], *row.scalars, "t", "i"}, f"{name}: {holes}"
        for dtype in (webtorch.float32, webtorch.int32, webtorch.uint8, webtorch.bool):
            try:
                compute = row.rule(dtype, name)[0]
            except webtorch.DTypeError:
                continue
            text = row.expression(compute)
            if text is not None and compute is not webtorch.float64:
                missing = codegen.missing_functions(text, codegen.compute_type(compute))
                assert not missing, f"{name} of {dtype} needs {missing}"
        used = set(re.findall(r"{(\w+)}", "".join(row.wgsl.values())))
        ignored = [letter for letter in INPUT_NAMES[: row.inputs] if letter not in used]
        constant = {"isreal", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "signbit"}
        assert not ignored or name in constant or name.startswith("_pow_"), f"{name} ignores {ignored}"


def test_every_derivative_names_what_exists():
    """A rule per input, and each rule asks for what can be saved: gradient, result, inputs, their shapes, options."""
    known = {"g", "out", *INPUT_NAMES, *(f"{letter}_shape" for letter in INPUT_NAMES)}
    for name, row in TABLE.items():
        if row.vjp is None:
            continue
        assert row.grad_name.endswith("Backward0"), name
        if isinstance(row, Elementwise):
            assert len(row.vjp) == row.inputs, f"{name}: {len(row.vjp)} rules for {row.inputs} inputs"
            for rule in row.rule_names:
                assert set(rule) <= {*known, *row.scalars, "other"}, f"{name}: {rule}"
        for rule in row.vjp:
            assert rule is None or callable(rule), name


def test_graph_nodes_are_named_as_pytorch_names_them():
    torch = pytest.importorskip("torch")
    other = []
    for name, row in TABLE.items():
        if not (row.public and isinstance(row, Elementwise) and row.vjp) or not hasattr(torch, name) or row.inputs > 2:
            continue
        low, high = row.domain
        arrays = [np.full((2,), (low + high) / 2 + 0.1, np.float32)] * row.inputs
        try:
            theirs = getattr(torch, name)(*(torch.tensor(array, requires_grad=True) for array in arrays)).grad_fn
        except (TypeError, RuntimeError):
            continue
        ours = row(*(webtorch.tensor(array, requires_grad=True, device="cpu") for array in arrays)).grad_fn
        if theirs is None or "NotImplemented" in theirs.name():
            continue
        if re.sub(r"\d+$", "", theirs.name()) != re.sub(r"\d+$", "", ours.name()):
            other.append((name, ours.name(), theirs.name()))
    assert not other, other


# ---- where names may stand ------------------------------------------------------------------------------------------

# The engine runs ops of any name: what it must know of one, the op's kind says.
ENGINE = [
    "graph.py",
    "engine.py",
    "fuse.py",
    "codegen.py",
    "rendering.py",
    "kernels.py",
    "prelude.py",
    "shaders_path.py",
]


def strings_of(path: pathlib.Path) -> set[str]:
    """The string constants of a module, but for docstrings and the names in __slots__ and __all__."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Assign) and any(
            getattr(target, "id", "") in ("__slots__", "__all__") for target in node.targets
        ):
            skipped.update(id(part) for part in ast.walk(node.value))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped
    }


def test_the_engine_knows_no_op_by_name():
    names = {key for key, row in TABLE.items()} | {row.name for row in TABLE.values()}
    for path in [*(PACKAGE / name for name in ENGINE), *(PACKAGE / "backends").rglob("*.py")]:
        found = strings_of(path) & names
        assert not found, f"{path.name} names {found}"


def test_the_backend_knows_nothing_of_tensors():
    """A backend is handed a kernel and returns a buffer."""
    for path in (PACKAGE / "backends").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                assert not re.search(r"webtorch\.(ops|tensor|autograd|functional|graph|fuse)\b", name), (
                    f"{path.name} imports {name}"
                )


def code_of(text: str) -> str:
    """WGSL without its comments."""
    return re.sub(r"//[^\n]*", "", text)


def test_kernels_spell_no_dtype():
    """A kernel is written once for all dtypes: T stands for the element, u32 counts, and the library has the types."""
    kernels = [path for path in SHADERS.glob("*.wgsl") if "@compute" in path.read_text()]
    assert len(kernels) >= 6
    for path in kernels:
        found = set(re.findall(r"\b(?:f16|f32|f64|i32|i64|bool)\b|\d(?:\.\d+)?[fh]\b", code_of(path.read_text())))
        assert not found, f"{path.name} spells {found}"


def test_every_shader_is_used():
    """A kernel file is named by the module that fills its holes; a library file is read by the tree shaker."""
    named = set().union(*(strings_of(path) for path in MODULES))
    for path in SHADERS.glob("*.wgsl"):
        functions = re.findall(r"^fn (wt_\w+)\(", path.read_text(), re.MULTILINE)
        assert (
            path.stem in named
            or path.name in named
            or (functions and set(functions) <= prelude.functions(pairs=True).keys())
        ), f"{path.name} is not used"
        assert shaders_path.read(path.name) == path.read_text()
        assert path.read_text().startswith("//"), f"{path.name} does not say what it holds"


# ---- files ----------------------------------------------------------------------------------------------------------


def test_every_module_says_what_it_holds():
    for path in MODULES:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)) or not text.strip() or path.name == "version.py", path


def test_modules_are_of_a_readers_size():
    """Lines of code; documentation and its examples do not count."""
    for path in MODULES:
        tree, text = ast.parse(path.read_text()), path.read_text().split("\n")
        documentation = set()
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                documentation.update(range(node.lineno - 1, node.end_lineno))
            if isinstance(node, ast.keyword) and node.arg == "doc":
                documentation.update(range(node.value.lineno - 1, node.value.end_lineno))
        code = [
            line
            for number, line in enumerate(text)
            if line.strip() and number not in documentation and not line.strip().startswith("#")
        ]
        assert len(code) <= 800, f"{path.relative_to(ROOT)} has {len(code)} lines of code: split it"


def test_importing_touches_no_gpu_and_no_test_library():
    """What the package imports is numpy, the standard library and, when a GPU is first used, wgpu."""
    allowed = {"numpy", "wgpu", "webtorch"}
    for path in MODULES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top in allowed or top in STANDARD or optional(node, tree), (
                    f"{path.relative_to(ROOT)} imports {name}"
                )
        top_level = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        for node in top_level:
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            if "backends" not in path.parts:
                assert not any(name.split(".")[0] == "wgpu" for name in names), (
                    f"{path.relative_to(ROOT)} imports wgpu at once"
                )


def optional(node: ast.AST, tree: ast.Module) -> bool:
    """True for imports inside functions or try blocks: of things that one may have."""
    return not any(node is each for each in tree.body)


STANDARD = __import__("sys").stdlib_module_names


def test_nothing_speaks_of_the_machine_it_was_written_on():
    for path in [*MODULES, *SHADERS.glob("*.wgsl")]:
        assert not re.search(r"(?<![\w.])/(?:home|root|work|Users)/", path.read_text()), path


def test_autograd_lists_what_it_offers():
    assert all(hasattr(autograd, name) for name in autograd.__all__)
