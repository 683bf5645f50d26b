"""The table of wgpu-py's header: kept by one process, used by the next, and ignored when it is damaged."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent("""
    import cffi, sys
    import webtorch
    genuine = cffi.FFI
    x = webtorch.tensor([[1.0, 2.0], [3.0, 4.0]], device="webgpu")
    assert (x @ x).tolist() == [[7.0, 10.0], [15.0, 22.0]]
    assert cffi.FFI is genuine
    from wgpu.backends.wgpu_native import ffi
    print("parsed" if isinstance(ffi, genuine) else "kept")
""")


def run(cache: pathlib.Path) -> str:
    environment = {**os.environ, "WEBTORCH_CACHE": str(cache)}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, env=environment, timeout=120
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


@pytest.mark.gpu
def test_the_next_process_parses_nothing(tmp_path):
    assert run(tmp_path) == "parsed"
    (kept,) = tmp_path.glob("declarations-*.bin")
    assert run(tmp_path) == "kept"
    whole = kept.read_bytes()
    for damaged in (whole[:1000], whole[:32] + b"x" + whole[33:], b""):
        kept.write_bytes(damaged)
        assert run(tmp_path) == "parsed"
        assert kept.read_bytes() == whole
    assert run(tmp_path) == "kept"


@pytest.mark.gpu
@pytest.mark.skipif(sys.platform == "win32", reason="folders are read-only by other means there")
def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file" / "cache") == "parsed"
    assert run(tmp_path / "file" / "cache") == "parsed"
