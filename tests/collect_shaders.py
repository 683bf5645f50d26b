"""A pytest plugin that writes the WGSL of every pipeline that a test run makes to the folder in WEBTORCH_SHADERS.

    WEBTORCH_SHADERS=folder pytest -p collect_shaders tests/test_ops.py

Features that WebGPU itself does not have (64-bit integers and floats) are kept from the device, so that the shaders are
those that a browser would get. `check_shaders.py` gives the folder to another compiler.
"""

import hashlib
import os
import pathlib

import pytest

from webtorch import prelude, reproducible
from webtorch.backends.wgpu import device, pipelines
from webtorch.errors import ShaderCompileError

FOLDER = pathlib.Path(os.environ.get("WEBTORCH_SHADERS", ""))
BEYOND_THE_STANDARD = ("shader-int64", "shader-f64", "shader-float32-atomic")


def write(source: str, kind: str) -> None:
    """One file for one text."""
    name = hashlib.sha256(source.encode()).hexdigest()[:20]
    (FOLDER / f"{name}.{kind}.wgsl").write_text(source)


def pytest_configure(config: pytest.Config) -> None:
    if not os.environ.get("WEBTORCH_SHADERS"):
        raise pytest.UsageError("set WEBTORCH_SHADERS to the folder where the shaders are to be written")
    FOLDER.mkdir(parents=True, exist_ok=True)
    device.WANTED_FEATURES = tuple(name for name in device.WANTED_FEATURES if not name.startswith(BEYOND_THE_STANDARD))
    make = pipelines.PipelineCache._compile

    def compile_and_write(self, source, label, *rest):
        made = make(self, source, label, *rest)
        if isinstance(made, pipelines.Pipeline):  # tests also make shaders that are wrong
            write(source, "kernel")
            if "fn wt_keep_f32" not in source:  # made in that mode
                write_reproducible(source)
        return made

    pipelines.PipelineCache._compile = compile_and_write
    for name in prelude.functions():
        if not name.endswith("_f64") and "f64" not in (source := prelude.closure([name], (), True)):
            write(source, "library")
            write_reproducible(source)


def write_reproducible(source: str) -> None:
    """What the text becomes in reproducible mode, where it can."""
    try:
        write(reproducible.rewrite(source), "reproducible")
    except ShaderCompileError:
        pass
