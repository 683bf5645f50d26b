"""The import hook: ``torch``, and every submodule of it that webtorch has, resolve to webtorch; nothing else changes.

The module ``torch`` is a stand-in that hands out webtorch's names and has PyTorch's version; submodules are webtorch's own.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import webtorch

from .. import devices
from ..errors import REPORT, MissingModuleError, MissingNameError, did_you_mean
from ..utils.data import worker
from ..version import __version__

PYTORCH = "2.13.0"  # whose names and meanings are followed

_OPTIMIZERS = "adadelta adagrad adam adamax adamw asgd lbfgs nadam optimizer radam rmsprop rprop sgd sparse_adam"
_DISTRIBUTIONS = """
    bernoulli beta binomial categorical cauchy chi2 constraint_registry constraints continuous_bernoulli dirichlet
    distribution exp_family exponential fishersnedecor gamma generalized_pareto geometric gumbel half_cauchy half_normal
    independent inverse_gamma kl kumaraswamy laplace lkj_cholesky log_normal logistic_normal lowrank_multivariate_normal
    mixture_same_family multinomial multivariate_normal negative_binomial normal one_hot_categorical pareto poisson
    relaxed_bernoulli relaxed_categorical studentT transformed_distribution transforms uniform utils von_mises weibull wishart
"""

# Modules of PyTorch whose names webtorch keeps in another module.
PLACES = {
    **{f"torch.optim.{name}": "webtorch.optim" for name in _OPTIMIZERS.split()},
    **{f"torch.distributions.{name}": "webtorch.distributions" for name in _DISTRIBUTIONS.split()},
    **{
        f"torch.utils.data.{name}": "webtorch.utils.data"
        for name in ("dataloader", "dataset", "distributed", "sampler")
    },
    "torch.autograd.profiler_util": "webtorch.profiler_events",
    "torch.autograd.variable": "webtorch.tensor_types",
    "torch.cuda.amp.autocast_mode": "webtorch.cuda.amp",
    "torch.cuda.amp.common": "webtorch.cuda.amp",
    "torch.cuda.amp.grad_scaler": "webtorch.cuda.amp",
    "torch.cuda.memory": "webtorch.cuda",
    "torch.cuda.random": "webtorch.cuda",
    "torch.cuda.streams": "webtorch.cuda",
    "torch.nn.parallel.data_parallel": "webtorch.nn.parallel",
    "torch.nn.parallel.distributed": "webtorch.nn.parallel",
    "torch.storage": "webtorch.graph",
    "torch.utils.model_zoo": "webtorch.hub",
}

FAMILY = {
    "torchvision": "webtorch comes without it, and it needs PyTorch's own compiled code: read images with pillow or numpy, "
    "and write the network in the program",
    "torchaudio": "webtorch comes without it, and it needs PyTorch's own compiled code",
    "torchtext": "webtorch comes without it, and it needs PyTorch's own compiled code",
}


class Version(str):
    """A version that compares by its numbers, with strings and tuples.

    >>> Version("2.13.0") >= "2.4", Version("2.13.0+local") < (3, 0)
    (True, True)
    """

    __slots__ = ()

    @staticmethod
    def numbers(version: Any) -> tuple[int, ...]:
        """The numbers of a version, up to the first part that is none, without zeros at the end."""
        parts = version.partition("+")[0].split(".") if isinstance(version, str) else version
        found: list[int] = []
        for part in parts:
            digits = "".join(character for character in str(part) if character.isdigit())
            if not str(part).isdigit():
                found += [int(digits)] if str(part)[:1].isdigit() else []
                break
            found.append(int(digits))
        while found and found[-1] == 0:
            found.pop()
        return tuple(found)

    def __lt__(self, other: Any) -> bool:
        return self.numbers(self) < self.numbers(other)

    def __le__(self, other: Any) -> bool:
        return self.numbers(self) <= self.numbers(other)

    def __gt__(self, other: Any) -> bool:
        return self.numbers(self) > self.numbers(other)

    def __ge__(self, other: Any) -> bool:
        return self.numbers(self) >= self.numbers(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (str, tuple)) and self.numbers(self) == self.numbers(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)


VERSION = Version(f"{PYTORCH}+webtorch.{__version__}")


class StandIn(ModuleType):
    """The module ``torch``: webtorch's names, those that are made later as well."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module 'torch' has no attribute {name!r}")
        try:
            value = getattr(webtorch, name)
        except AttributeError:
            raise MissingNameError(missing(f"torch.{name}"), name=name, obj=self) from None
        setattr(self, name, explained(value) if isinstance(value, ModuleType) else value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(webtorch)})


def stand_in() -> ModuleType:
    """A new module ``torch``."""
    module = StandIn("torch", "webtorch under PyTorch's name.")
    module.__path__ = list(webtorch.__path__)
    module.__file__ = webtorch.__file__
    for name, value in vars(webtorch).items():
        if not name.startswith("_"):
            setattr(module, name, explained(value) if isinstance(value, ModuleType) else value)
    version = ModuleType("torch.version", "What version of PyTorch this stands for, and how it was built.")
    vars(version).update(cuda=None, hip=None, git_version=None, debug=False, __version__=VERSION)
    vars(module).update(version=version, __version__=VERSION)
    return module


def missing(name: str) -> str:
    """What to say of a name of PyTorch's that webtorch has not."""
    parent, _, last = name.rpartition(".")
    hint = ""
    try:
        owner = webtorch if parent == "torch" else find(parent)
    except ImportError:
        owner = None
    if owner is not None:
        names = [known for known in dir(owner) if not known.startswith("_")]
        hint = did_you_mean(last, names)
    if not hint:
        hint = elsewhere(last)
    return f"{name}: webtorch {__version__} has no such name.{hint}{REPORT}"


def elsewhere(name: str) -> str:
    """Where else webtorch has a name, as a hint for an error message."""
    for place in ("", "nn", "nn.functional", "optim", "utils.data", "linalg", "func", "Tensor"):
        try:
            owner = webtorch.Tensor if place == "Tensor" else find(f"torch.{place}".rstrip("."))
        except ImportError:
            continue
        if name in dir(owner):
            return f" There is {'' if place == 'Tensor' else 'torch.'}{place}{'.' if place else ''}{name}."
    return ""


def explained(module: ModuleType) -> ModuleType:
    """The module, which from now on says more about names that it has not."""
    if getattr(module, "_explained_for_torch", False) or not module.__name__.startswith("webtorch."):
        return module
    given: Callable[[str], Any] | None = vars(module).get("__getattr__")
    shown = "torch" + module.__name__.removeprefix("webtorch")

    def getattr_or_explain(name: str) -> Any:
        if given is not None:
            try:
                return given(name)
            except AttributeError:
                pass
        if name.startswith("__"):
            raise AttributeError(f"module {shown!r} has no attribute {name!r}")
        raise MissingNameError(missing(f"{shown}.{name}"), name=name, obj=module)

    vars(module)["_explained_for_torch"] = True
    vars(module)["__getattr__"] = getattr_or_explain
    return module


def find(name: str) -> ModuleType:
    """The webtorch module that stands for a module of PyTorch. Raises ModuleNotFoundError."""
    own = "webtorch" + name.removeprefix("torch")
    if own == "webtorch":
        return webtorch
    try:
        return importlib.import_module(own)
    except ModuleNotFoundError as error:
        if error.name is not None and not own.startswith(error.name):
            raise  # a module that webtorch itself lacks
        if name in PLACES:
            return importlib.import_module(PLACES[name])
        parent, _, last = own.rpartition(".")
        holder = sys.modules.get(parent)
        value = getattr(holder, last, None) if holder is not None and "." in name else None
        if isinstance(value, ModuleType):
            return value
        raise


class Given(Loader):
    """Loads a module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = getattr(module, "__spec__", None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        if self.spec is not None:
            module.__spec__ = self.spec  # the import system has put in its own


class Finder(MetaPathFinder):
    """Finds ``torch`` and its submodules, before all other finders."""

    def __init__(self) -> None:
        self.torch = stand_in()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name == "torch":
            return importlib.util.spec_from_loader(name, Given(self.torch), is_package=True)
        if name == "torch.version":
            return importlib.util.spec_from_loader(name, Given(self.torch.version))
        if not name.startswith("torch."):
            return None
        try:
            module = find(name)
        except ModuleNotFoundError as error:
            if isinstance(error, MissingModuleError):
                raise
            raise MissingModuleError(missing(name)) from None
        explained(module)
        return importlib.util.spec_from_loader(name, Given(module), is_package=hasattr(module, "__path__"))


class LastFinder(MetaPathFinder):
    """Asked when no other finder knows a module: says more about it than Python does."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name.startswith("webtorch.") and _importing_a_name():
            raise MissingModuleError(missing("torch" + name.removeprefix("webtorch")))
        if name in FAMILY:
            raise ModuleNotFoundError(f"No module named {name!r}: {FAMILY[name]}.", name=name)
        return None


def _importing_a_name() -> bool:
    """Whether ``from module import name`` led here, and not an import of webtorch's own that may fail."""
    frame = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_handle_fromlist":
            return True
        frame = frame.f_back
    return False


def install(default_device: str = "cpu", reach_children: bool = True) -> ModuleType:
    """Have ``torch`` mean webtorch in this process, and in those that it spawns; returns the module ``torch``.

    Names of GPUs mean the GPU that there is, and tensors are made on `default_device` where no device is named. Raises
    ImportError when PyTorch itself was imported before.
    """
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            return finder.torch
    if "torch" in sys.modules:
        raise ImportError("PyTorch was imported in this process before webtorch could take its place")
    devices.accept_gpu_names()
    devices.set_default_device(default_device)
    finder = Finder()
    sys.meta_path.insert(0, finder)
    sys.meta_path.append(LastFinder())
    if reach_children:
        _reach_children(default_device)
    return importlib.import_module("torch")


def _reach_children(default_device: str) -> None:
    """A process that is spawned gets this one's `sys.path` before it imports anything: a folder there has a ``torch`` that
    installs the hook."""
    folder = tempfile.mkdtemp(prefix="webtorch-")
    source = f"from webtorch.running.importing import take_over\n\ntake_over({default_device!r})\n"
    pathlib.Path(folder, "torch.py").write_text(source, "utf-8")
    sys.path.append(str(pathlib.Path(webtorch.__file__).parents[1]))
    sys.path.insert(1, folder)  # after the program's own
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    worker.PREPARATIONS.append(f"{__name__}:{prepare_worker.__name__}")


def prepare_worker() -> None:
    """`install` in a worker of a DataLoader: those make their tensors on the cpu, and end without cleaning up."""
    install("cpu", reach_children=False)


def take_over(default_device: str) -> None:
    """`install` in a spawned process, from inside the import of ``torch``."""
    del sys.modules["torch"]
    sys.path[:] = [entry for entry in sys.path if not pathlib.Path(entry).name.startswith("webtorch-")]
    install(default_device)
