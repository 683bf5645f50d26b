"""The project's commands: `nox -s demo`, `nox -s tests`, `nox -s lint`, `nox -s bench`, `nox -s build`.

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
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "2"]), env=settings())


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


@nox.session
def bench(session: nox.Session) -> None:
    """Speed: tables on the screen, JSON lines in a file. Arguments after -- choose what is measured."""
    require_python(session)
    session.install("-e", ".[bench]")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """The source archive and the wheel, in dist/."""
    require_python(session)
    session.install("build")
    session.run("python", "-m", "build", *session.posargs)
