"""The package as a user gets it: source archive, wheel and editable install, import time, README, and clean files."""

import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import Parser

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHADERS = {path.name for path in (ROOT / "shaders").glob("*.wgsl")}


def run(*command: object, cwd: pathlib.Path, **environment: str) -> str:
    """The output of a command; if it fails, the test fails with all that the command said."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COVERAGE_PROCESS_START")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command} in {cwd} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


def build(kind: str, source: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", into, cwd=source)
    (made,) = into.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    pytest.importorskip("hatchling")
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    pytest.importorskip("hatchling")
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


class Environment:
    """A fresh virtual environment that sees this one's packages behind its own, but not webtorch."""

    def __init__(self, place: pathlib.Path) -> None:
        venv.create(place / "env", with_pip=False)
        scripts = place / "env" / ("Scripts" if os.name == "nt" else "bin")
        self.python = scripts / ("python.exe" if os.name == "nt" else "python")
        self.elsewhere = place / "elsewhere"
        self.elsewhere.mkdir()
        site_packages = pathlib.Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))"))
        borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        # A plain line in a .pth file puts a folder last on the path, and the .pth files in it are not read: so an
        # editable webtorch of the outer environment stays out of sight.
        (site_packages / "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n", "utf-8")

    def install(self, *what: object) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check", "install"]
        run(*pip, "--quiet", "--no-index", "--no-deps", "--ignore-installed", *what, cwd=self.elsewhere)

    def run(self, code: str, **environment: str) -> str:
        return run(self.python, "-c", code, cwd=self.elsewhere, **environment).strip()


REPORT = """
import json, pathlib, webtorch, webtorch.shaders_path
sum = (webtorch.tensor([1.0, 2.0]) + webtorch.tensor([10.0, 20.0])).tolist()
print(json.dumps({
    "file": webtorch.__file__,
    "sum": sum,
    "prelude": webtorch.shaders_path.read("prelude.wgsl"),
    "random": webtorch.rand(2).tolist() and True,
}))
"""
KERNEL = """
import webtorch
x = webtorch.tensor([1.0, 2.0, 4.0], device="webgpu")
assert (webtorch.sum(x * 2) + webtorch.tanh(x)).shape == (3,)
print(webtorch.sum(x * 2).item())
"""


def check_installed(environment: Environment, expected_at: pathlib.Path | None) -> None:
    report = json.loads(environment.run(REPORT, WEBTORCH_DEVICE="cpu"))
    folder = pathlib.Path(report["file"]).resolve().parent
    if expected_at is None:
        assert ROOT not in folder.parents, "the installed package was wanted, and the repository was imported"
        assert {path.name for path in (folder / "shaders").iterdir()} == SHADERS
        assert not (folder.parent / "examples").exists() and not (folder.parent / "tests").exists()
    else:
        assert folder == expected_at
    assert report["sum"] == [11.0, 22.0]
    assert report["prelude"] == (ROOT / "shaders" / "prelude.wgsl").read_text("utf-8")


@pytest.fixture(scope="module")
def from_wheel(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("from_wheel"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    pytest.importorskip("hatchling")
    pytest.importorskip("editables", reason="hatchling wants it for editable installs")
    environment = Environment(tmp_path_factory.mktemp("editable"))
    environment.install("--no-build-isolation", "--editable", ROOT)
    return environment


def test_wheel_works_from_another_folder(from_wheel):
    check_installed(from_wheel, None)


def test_editable_install_works_from_another_folder(editable):
    check_installed(editable, ROOT / "webtorch")


@pytest.mark.gpu
def test_wheel_runs_a_kernel(from_wheel):
    assert float(from_wheel.run(KERNEL)) == 14.0


@pytest.mark.gpu
def test_editable_install_runs_a_kernel(editable):
    assert float(editable.run(KERNEL)) == 14.0


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = Parser().parsestr(archive.read(next(n for n in names if n.endswith("/METADATA"))).decode("utf-8"))
    (info,) = {name.split("/")[0] for name in names} - {"webtorch"}
    assert re.fullmatch(r"webtorch-\d+\.\d+\.\d+\.dist-info", info)
    assert {name.removeprefix("webtorch/shaders/") for name in names if name.endswith(".wgsl")} == SHADERS
    assert {"webtorch/py.typed", "webtorch/__init__.py", "webtorch/normal_table.npy"} <= names
    assert f"{info}/licenses/LICENSE" in names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "webtorch").rglob("*.py")}
    assert sources <= names

    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[<>=!~ ;]", line)[0] for line in needed} == {"wgpu", "numpy"}
    assert {"examples", "io", "tests", "bench"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Version"] == __import__("webtorch.version").version.__version__


def test_source_archive_holds_all_and_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    for name in (
        "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "noxfile.py", ".ci/run", "conftest.py",
        "examples/data/digits.npz", "examples/data/README.md", "examples/data/sonnets.txt", "examples/data/digits_cnn.pt",
        "tests/test_packaging.py", "shaders/prelude.wgsl",
    ):  # fmt: skip
        assert (unpacked / name).is_file(), f"{name} is not in {sdist.name}"
    (tmp_path / "dist").mkdir()
    again = build("wheel", unpacked, tmp_path / "dist")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())


def test_digits_are_as_described():
    np = pytest.importorskip("numpy")
    with np.load(ROOT / "examples" / "data" / "digits.npz", allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
        assert "10.24432/C50P49" in str(data["source"]) and "CC BY 4.0" in str(data["licence"])
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and (images.min(), images.max()) == (0, 16)
    assert labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


MODULES_OF_IMPORT = """
import json, sys
import webtorch
print(json.dumps(sorted(sys.modules)))
"""


def test_import_touches_no_gpu():
    modules = json.loads(run(sys.executable, "-c", MODULES_OF_IMPORT, cwd=ROOT))
    # Slow to import or not ours to need; how long the import takes is measured in bench.
    for unwanted in (
        "wgpu",
        "torch",
        "matplotlib",
        "asyncio",
        "importlib.resources",
        "webtorch.nn",
        "webtorch.backends.wgpu",
    ):
        assert unwanted not in modules


def readme_blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_readme_example_runs(tmp_path):
    (first, *_) = [block for block in readme_blocks("python") if "webgpu" not in block]
    printed = run(sys.executable, "-c", first, cwd=ROOT, WEBTORCH_DEVICE="cpu")
    assert "tensor([[" in printed and printed.rstrip().endswith("False True")


@pytest.mark.gpu
def test_readme_kernel_can_be_read():
    blocks = [block for block in readme_blocks("python") if "webgpu" in block]
    assert blocks
    for block in blocks:
        assert "@compute" in run(sys.executable, "-c", "import webtorch\n" + block, cwd=ROOT)


def test_readme_commands_are_nox_sessions():
    commands = [line for block in readme_blocks("sh") for line in block.splitlines() if "nox -s" in line]
    assert commands == ["pip install nox && nox -s demo", "pip install nox && nox -s tests"]
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)\(", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    assert {"demo", "tests", "lint", "bench", "build"} <= set(sessions)


def test_ci_takes_its_command_from_the_readme():
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "README.md" in text
    assert not re.search(r"^\s*nox -s tests", text, re.MULTILINE), "the command would be there twice, and drift"
    if os.name != "nt":
        assert os.access(ROOT / ".ci" / "run", os.X_OK)
        pattern = re.search(r"awk '(.*?)' README\.md", text)
        assert pattern is not None
        assert run("awk", pattern[1], "README.md", cwd=ROOT).strip() == "pip install nox && nox -s tests"


def project_files() -> list[pathlib.Path]:
    """What git tracks; in an unpacked source archive, all that lies there and is no cache."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        names = [name for name in listed.decode("utf-8").split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
    if not names:
        caches = re.compile(r"(^|/)(\.nox|\.cache|\.venv|\.git|dist|build|__pycache__|\.\w+_cache|\.hypothesis)(/|$)")
        paths = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
        names = [name for name in paths if not caches.search(name)]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_files_name_no_machine_and_no_registry():
    # In pieces, so that this file may be looked through as well.
    forbidden = ["/" + "work/", "/" + "root/", "pythonhosted" + ".org", "pypi" + ".org/simple", "index" + "-url",
                 "find" + "-links", "trusted" + "-host", "/opt/" + "pypi", "-----BEGIN " + "PRIVATE"]  # fmt: skip
    for folder in (ROOT, pathlib.Path.home()):
        if len(folder.parts) > 2:  # not "/" and not "/root", which the list has
            forbidden.append(str(folder))
    found = []
    files = project_files()
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {text}" for text in forbidden if text.encode() in content]
    assert not found


def test_no_file_is_large():
    assert not [f"{path}: {path.stat().st_size}" for path in project_files() if path.stat().st_size > 1_000_000]
