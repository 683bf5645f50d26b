"""The software Vulkan drivers that tests compare with each other, and running a program on one of them.

With WEBTORCH_REQUIRE_DRIVERS=1, which the continuous integration sets, a test that misses one fails; else it is skipped.
"""

import glob
import os
import pathlib
import subprocess
import sys
from typing import NoReturn

import pytest

TESTS = pathlib.Path(__file__).parent
# Where a driver says how it is loaded. Debian has SwiftShader in the package chromium-common, llvmpipe in
# mesa-vulkan-drivers; WEBTORCH_SWIFTSHADER may name another file.
DRIVERS = {
    "llvmpipe": ["/usr/share/vulkan/icd.d/lvp_icd*.json"],
    "swiftshader": [
        os.environ.get("WEBTORCH_SWIFTSHADER", ""), "/usr/lib/chromium/vk_swiftshader_icd.json",
        "/usr/lib/chromium-browser/vk_swiftshader_icd.json", "/opt/google/chrome/vk_swiftshader_icd.json",
    ],
}  # fmt: skip


def icd(driver: str) -> str | None:
    """The file that the Vulkan loader is given to load a driver and no other; None where it is not installed."""
    for pattern in DRIVERS[driver]:
        found = sorted(glob.glob(pattern)) if pattern else []
        if found:
            return found[0]
    return None


def missing(driver: str) -> NoReturn:
    """Leave the running test, which cannot do without a driver."""
    reason = f"{driver} is not installed: none of {[pattern for pattern in DRIVERS[driver] if pattern]} exists"
    if os.environ.get("WEBTORCH_REQUIRE_DRIVERS", "0") not in ("", "0"):
        pytest.fail(f"WEBTORCH_REQUIRE_DRIVERS is set, but {reason}", pytrace=False)
    pytest.skip(reason)


def run_on(driver: str, *arguments: str, timeout: float = 300, **environment: str) -> str:
    """The output of a Python program (and its arguments) on a driver."""
    file = icd(driver)
    if file is None:
        missing(driver)
    settings = {
        **os.environ, "VK_DRIVER_FILES": file, "VK_ICD_FILENAMES": file, "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]),
        "OPENBLAS_NUM_THREADS": "1", "WEBTORCH_ADAPTER": {"llvmpipe": "llvmpipe", "swiftshader": "SwiftShader"}[driver],
        **environment,
    }  # fmt: skip
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, env=settings)
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout
