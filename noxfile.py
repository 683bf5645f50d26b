"""The project's commands: `nox -s demo`, `nox -s tests`, `nox -s lint`, `nox -s bench`, `nox -s build`; and parts of the
tests by themselves: `nox -s drivers`, `nox -s limits`, `nox -s tint`.

Each session makes its own virtual environment; nothing else needs to be installed but nox.
"""

import os
import pathlib
import shutil
import sys

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.needs_version = ">=2024.3.2"

HERE = pathlib.Path(__file__).parent

# Prints the adapters that webtorch would take, one per line. Adapters that speak only OpenGL are left out.
LIST_ADAPTERS = """
import wgpu
for adapter in wgpu.gpu.enumerate_adapters_sync():
    if adapter.info["backend_type"] not in ("OpenGL", "OpenGLES", "Null", "Unknown"):
        print(adapter.info["backend_type"], "|", adapter.info["adapter_type"], "|", adapter.info["device"])
"""

LIST_OPENGL = """
import wgpu
for adapter in wgpu.gpu.enumerate_adapters_sync():
    if adapter.info["backend_type"].startswith("OpenGL"):
        print(adapter.info["device"])
"""

WHAT_TO_INSTALL = """No Vulkan, Metal or Direct3D 12 adapter was found, not even a software one. To get one:
  Debian, Ubuntu    sudo apt-get install mesa-vulkan-drivers
  Fedora            sudo dnf install mesa-vulkan-drivers
  Arch              sudo pacman -S vulkan-swrast
  Alpine            sudo apk add mesa-vulkan-swrast
  Windows           Windows 10 or newer brings Direct3D 12 and its software adapter: update the graphics driver
  macOS             every Mac with macOS 10.13 or newer has Metal
Or set WEBTORCH_REQUIRE_GPU=0 in the environment, and the tests that need a GPU are skipped."""


def require_python(session: nox.Session) -> None:
    """Say clearly that the Python is too old, before pip says it at length."""
    if sys.version_info < (3, 11):
        session.error(f"webtorch needs Python 3.11 or newer; nox runs on {sys.version.split()[0]} ({sys.executable})")


def adapters(session: nox.Session) -> str:
    """The adapters that the session's wgpu sees, one per line."""
    found = session.run("python", "-c", LIST_ADAPTERS, silent=True, success_codes=[0, 1], log=False) or ""
    return "\n".join(line for line in str(found).splitlines() if " | " in line)


def require_adapter(session: nox.Session) -> None:
    """Make sure that there is an adapter: where there is none, root on Debian or Ubuntu gets the software one."""
    if os.environ.get("WEBTORCH_REQUIRE_GPU") == "0":
        return
    found = adapters(session)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not found and is_root and shutil.which("apt-get"):
        session.log("no GPU adapter found: installing Mesa's software Vulkan driver")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "-qq", external=True, env=quiet)
        session.run(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", "libvulkan1", "mesa-vulkan-drivers",
            external=True, env=quiet, silent=True,
        )  # fmt: skip
        found = adapters(session)
    if not found:
        session.error(WHAT_TO_INSTALL)
    session.log("adapters:\n" + found)


# The other software drivers that the tests run on: what makes wgpu take one, the package of Debian that has it, and the
# tests that may come out differently from driver to driver.
SWIFTSHADER_FILES = (
    "/usr/lib/chromium/vk_swiftshader_icd.json", "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
    "/opt/google/chrome/vk_swiftshader_icd.json",
)  # fmt: skip
SENSITIVE = (
    "tests/test_ops.py", "tests/test_prelude.py", "tests/test_shaders.py", "tests/test_backend_wgpu.py",
    "tests/test_driver_algebra.py", "tests/test_row_kernels.py", "tests/test_gpu_variants.py",
    "tests/test_coverage.py",
)  # fmt: skip
SENSITIVE_ON_OPENGL = ("tests/test_ops.py", "-k", "awkward or layouts or reductions_over or matmul")


def quiet_install(session: nox.Session, *packages: str) -> None:
    """Install Debian's packages where that is possible."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        session.log(f"installing {' '.join(packages)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run("apt-get", "update", "-qq", external=True, env=quiet)
        session.run(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages,
            external=True, env=quiet, silent=True, success_codes=[0, 100],
        )  # fmt: skip


def swiftshader(session: nox.Session) -> str | None:
    """The file that loads SwiftShader, installed if need be."""
    wanted = (os.environ.get("WEBTORCH_SWIFTSHADER", ""), *SWIFTSHADER_FILES)
    found = [name for name in wanted if name and pathlib.Path(name).exists()]
    if not found and os.environ.get("WEBTORCH_REQUIRE_DRIVERS", "0") not in ("", "0"):
        quiet_install(session, "chromium-common")
        found = [name for name in wanted if name and pathlib.Path(name).exists()]
    return found[0] if found else None


def opengl(session: nox.Session) -> bool:
    """Whether there is an adapter that is driven through OpenGL."""
    found = session.run("python", "-c", LIST_OPENGL, silent=True, success_codes=[0, 1], log=False)
    return bool(str(found or "").strip())


def absent(session: nox.Session, driver: str) -> None:
    """A driver that is not here: an error where it was asked for, else a word about it."""
    if os.environ.get("WEBTORCH_REQUIRE_DRIVERS", "0") not in ("", "0"):
        session.error(f"WEBTORCH_REQUIRE_DRIVERS is set, but {driver} was not found and could not be installed")
    session.log(f"{driver} is not installed: the tests were not run on it")


def run_on_other_drivers(session: nox.Session) -> None:
    """The tests that may differ from driver to driver, on SwiftShader and on OpenGL."""
    file = swiftshader(session)
    if file is None:
        absent(session, "SwiftShader (Debian's chromium-common)")
    else:
        chosen = {"VK_DRIVER_FILES": file, "VK_ICD_FILENAMES": file, "WEBTORCH_ADAPTER": "SwiftShader"}
        session.run("python", "-m", "pytest", "-n", "2", "-q", *SENSITIVE, env={**settings(), **chosen})
    if not opengl(session) and os.environ.get("WEBTORCH_REQUIRE_DRIVERS", "0") not in ("", "0"):
        quiet_install(session, "libegl1", "libgl1-mesa-dri")
    if not opengl(session):  # not every machine can have it: it needs more than a file
        session.log("no OpenGL adapter was found: the tests were not run on one")
    else:
        chosen = {"WEBTORCH_ADAPTER": "OpenGL"}
        session.run("python", "-m", "pytest", "-n", "2", "-q", *SENSITIVE_ON_OPENGL, env={**settings(), **chosen})


def run_under_low_limits(session: nox.Session) -> None:
    """The op table on an adapter that is believed to be smaller than any is."""
    chosen = {"WEBTORCH_LIMITS": "low"}
    session.run("python", "-m", "pytest", "-n", "2", "-q", "tests/test_ops.py", env={**settings(), **chosen})


def settings() -> dict[str, str]:
    """Environment of the test runs; what the caller has set stays."""
    cache = HERE / ".cache" / "mesa"
    cache.mkdir(parents=True, exist_ok=True)
    # Two test processes share the cores: numpy's own threads would only get in each other's way.
    wanted = {"WEBTORCH_REQUIRE_GPU": "1", "MESA_SHADER_CACHE_DIR": str(cache), "OPENBLAS_NUM_THREADS": "1"}
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


@nox.session
def demo(session: nox.Session) -> None:
    """Train a network to read handwritten digits, on the GPU if there is one, else on numpy."""
    require_python(session)
    session.install("-e", ".[examples]")
    session.run("python", "examples/digits.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, on numpy and on a GPU. Arguments after -- go to pytest."""
    require_python(session)
    session.install("-e", ".[tests]")
    require_adapter(session)
    if not session.posargs:
        swiftshader(session)  # what is reproducible is compared with it
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "2"]), env=settings())
    if not session.posargs and os.environ.get("WEBTORCH_REQUIRE_GPU") != "0":
        run_under_low_limits(session)
    if not session.posargs and sys.platform == "linux":
        run_on_other_drivers(session)


@nox.session
def drivers(session: nox.Session) -> None:
    """The tests that may differ from driver to driver, on SwiftShader and OpenGL: a part of the tests session."""
    require_python(session)
    session.install("-e", ".[tests]")
    run_on_other_drivers(session)


@nox.session
def limits(session: nox.Session) -> None:
    """The op table on an adapter that is believed to be smaller than any is, so that small tensors meet every limit."""
    require_python(session)
    session.install("-e", ".[tests]")
    require_adapter(session)
    run_under_low_limits(session)


@nox.session
def tint(session: nox.Session) -> None:
    """Have Chrome's compiler read every shader that the op table, the nets and the kernels for GPUs make."""
    require_python(session)
    session.install("-e", ".[tests]", "dawn-python==0.3.0")
    require_adapter(session)
    folder = session.create_tmp()
    for earlier in pathlib.Path(folder).glob("*.wgsl"):  # the folder outlasts the session
        earlier.unlink()
    chosen = {"WEBTORCH_SHADERS": folder, "PYTHONPATH": str(HERE / "tests")}
    files = (
        "tests/test_ops.py", "tests/test_gpu_variants.py", "tests/test_determinism.py", "tests/test_shaders.py",
        "tests/test_row_kernels.py", "tests/test_matmul_kernels.py", "tests/test_attention.py", "tests/test_joined.py",
        "tests/test_attention_lanes.py", "tests/test_radix.py", "tests/test_fft.py", "tests/test_linalg.py",
        "tests/test_extending.py", "tests/test_coverage.py",
    )  # fmt: skip
    made = ("python", "-m", "pytest", "-n", "2", "-q", "-p", "collect_shaders", *files)
    session.run(*made, env={**settings(), **chosen})
    session.run("python", "tests/check_shaders.py", folder, "--every", "shaders", "--at-least", "1000")


@nox.session
def oracle(session: nox.Session) -> None:
    """All tests with PyTorch beside webtorch, so that results are compared live and not only with recorded ones."""
    require_python(session)
    session.install("-e", ".[tests]", "torch")
    require_adapter(session)
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "2"]), env=settings())


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    require_python(session)
    session.install("ruff>=0.17,<0.18", "mypy>=2.4,<2.5", "numpy>=2,<3")
    session.run("ruff", "check", ".")
    session.run("mypy")


# The other WebGPU libraries, as bench/README.md lists them: what pip installs, and the folders of what npm installs.
PIP_PEERS = {
    "PyTorch": ("torch",),
    "tinygrad": ("tinygrad==0.14.0", "dawn-python==0.3.0"),
    "ONNX Runtime": ("onnxruntime-webgpu==1.27.0", "onnx"),
    "wonnx": ("wonnx==0.5.1", "onnx"),
    "taichi": ("taichi==1.7.4",),
}
NPM_PEERS = {
    "jax-js": ("@jax-js/jax@0.1.25", "webgpu@0.6.2"),
    "tfjs": ("@tensorflow/tfjs@4.22", "@tensorflow/tfjs-backend-webgpu@4.22", "webgpu@0.6.2"),
    "webgpu-torch": ("webgpu-torch@0.3.5", "webgpu@0.6.2"),
}


@nox.session
def bench(session: nox.Session) -> None:
    """Speed beside the other WebGPU libraries: tables on the screen, JSON lines in a file. --npm adds those of npm, and
    --no-peers leaves all out; other arguments after -- choose what is measured."""
    require_python(session)
    session.install("-e", ".[bench]")
    arguments = [name for name in session.posargs if name not in ("--npm", "--no-peers")]
    home = pathlib.Path(session.create_tmp())
    if "--no-peers" not in session.posargs:
        for name, packages in PIP_PEERS.items():
            installed = session.run(
                "python", "-m", "pip", "install", "-q", *packages, success_codes=[0, 1], silent=True
            )
            if installed is not True and "ERROR" in str(installed):
                session.log(f"{name} cannot be installed here: it will be left out")
    if "--npm" in session.posargs:
        for name, packages in NPM_PEERS.items():
            folder = home / name
            folder.mkdir(exist_ok=True)
            session.run("npm", "install", "--prefix", str(folder), "--silent", *packages, external=True)
    session.run("python", "-m", "bench", *arguments, env={"PEERS_HOME": os.environ.get("PEERS_HOME", str(home))})


@nox.session
def build(session: nox.Session) -> None:
    """The source archive and the wheel, in dist/."""
    require_python(session)
    session.install("build")
    session.run("python", "-m", "build", *session.posargs)
