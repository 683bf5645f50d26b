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
    assert [row["contender"] for row in rows] == ["numpy", "webtorch cpu", "webtorch webgpu", "webtorch compile"]
    for row in rows:
        assert row["task"] == "ops-1000" and row["runs"] >= 3 and row["cpu_ms"] >= 0 and row["cold_ms"] > 0
        assert 0 < row["min_ms"] <= row["median_ms"]
        assert row["adapter"] and row["driver"] and row["commit"]
        assert f"{row['median_ms']:.3f}" in done.stdout
    bench("ops-1000", "--only", "numpy", "--seconds", "0", "--out", out)
    assert len(out.read_text("utf-8").splitlines()) == 5


def test_unknown_task_is_refused(tmp_path):
    done = bench("mtmul", "--out", tmp_path / "lines.jsonl")
    assert done.returncode == 2 and "mtmul" in done.stderr and "matmul-512" in done.stderr
    assert not (tmp_path / "lines.jsonl").exists()


def test_a_task_that_trains_is_compared_with_numpy(tmp_path):
    out = tmp_path / "lines.jsonl"
    done = bench("mlp-step", "--only", "numpy", "cpu", "--seconds", "0", "--out", out)
    assert done.returncode == 0 and "left out" not in done.stdout, done.stdout + done.stderr
    assert [json.loads(line)["contender"] for line in out.read_text("utf-8").splitlines()] == ["numpy", "webtorch cpu"]


PEER = """
import os
import numpy as np
from serve import NotOffered, serve

def prepare(task, arrays, mode):
    if task != "matmul-256":
        raise NotOffered("no")
    wrong = float(os.environ["WRONG"])
    def run():
        if wrong > 1:
            raise SystemExit("broken")
        y = arrays[0] @ arrays[1]
        y[-1] *= 1 + wrong
        return y
    return run, lambda y: y

serve({"version": "7"}, prepare, lambda: 2.0)
"""


@pytest.mark.parametrize(("wrong", "said"), [("0", ""), ("0.1", "wrong result: last"), ("2", "process ended: broken")])
def test_a_peer_with_wrong_results_is_left_out_by_name(tmp_path, monkeypatch, wrong, said):
    from bench import __main__ as program
    from bench import contenders
    from bench.tasks import TASKS

    (tmp_path / "peer_mock.py").write_text(PEER, "utf-8")
    monkeypatch.setattr(contenders, "PEERS", tmp_path)
    monkeypatch.setenv("WRONG", wrong)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "bench" / "peers"))
    mock = contenders.Contender("mock", "peers", "peer_mock.py", "numpy")
    table = program.Table([mock], 0, tmp_path)
    try:
        by_name = {task.name: task for task in TASKS}
        results = table.measure(by_name["matmul-256"])
        assert list(results) == ([] if said else ["mock"])
        assert table.notes == [] if not said else ("mock" in table.notes[0] and said in table.notes[0]), table.notes
        assert table.measure(by_name["transpose-4096"]) == {}
        assert list(table.first_results()) == ["mock"]
    finally:
        table.end()


def test_a_peer_that_is_not_installed_is_named(monkeypatch, tmp_path):
    from bench import contenders

    absent = contenders.Contender("absent", "peers", "peer_absent.py", "a_module_that_is_not_there")
    monkeypatch.setenv("PEERS_HOME", str(tmp_path))
    assert contenders.command(absent) is None


@pytest.mark.gpu
def test_costs_are_measured():
    from bench.costs import TARGETS, webgpu_costs

    found = webgpu_costs(20)
    assert set(TARGETS) < set(found)
    assert all(found[name] > 0 for name in (*TARGETS, "dispatch_us"))
