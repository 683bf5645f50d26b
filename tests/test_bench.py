"""The benchmark runs, agrees with numpy (it checks that itself) and writes lines that can be compared later."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def bench(*arguments, **options):
    command = [sys.executable, "-W", "ignore", "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **options)


@pytest.mark.gpu
def test_lines_say_what_was_measured(tmp_path):
    out = tmp_path / "deep" / "lines.jsonl"
    done = bench("ops-1000", "--only", "numpy", "cpu", "webgpu", "--seconds", "0", "--out", out)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["contender"] for row in rows] == ["numpy", "webtorch cpu", "webtorch webgpu"]
    for row in rows:
        assert row["task"] == "ops-1000" and row["runs"] >= 5 and 0 < row["min_ms"] <= row["median_ms"]
        assert row["adapter"] and row["driver"] and row["commit"]
        assert f"{row['median_ms']:.3f}" in done.stdout
    bench("ops-1000", "--only", "numpy", "--seconds", "0", "--out", out)
    assert len(out.read_text("utf-8").splitlines()) == 4


def test_unknown_task_is_refused(tmp_path):
    done = bench("mtmul", "--out", tmp_path / "lines.jsonl")
    assert done.returncode == 2 and "mtmul" in done.stderr and "matmul-512" in done.stderr
    assert not (tmp_path / "lines.jsonl").exists()
