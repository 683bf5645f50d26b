"""The profiler: what it counts is what happened, its times add up, its trace is well formed, and it leaves no trace."""

import asyncio
import gzip
import json
import sys
import threading
import time
import types

import numpy as np
import pytest

import webtorch
from webtorch import engine, graph, kernels, profiler
from webtorch.autograd import profiler as autograd_profiler
from webtorch.profiler import ProfilerAction, ProfilerActivity, emit_nvtx, profile, record_function, schedule

pytestmark = pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")

TIMINGS = ["timestamps", "timestamps around passes", "wall time"]


def counts(recorded, category=None):
    return {row.key: row.count for row in recorded.key_averages() if category is None or row.category == category}


def burn(milliseconds):
    end = time.perf_counter() + milliseconds / 1e3
    while time.perf_counter() < end:
        pass


# ---- counting -------------------------------------------------------------------------------------------------------


def test_every_op_call_is_counted_once(device):
    x = webtorch.ones(4, 4, device=device)
    with profile() as p:
        y = x
        for _ in range(3):
            y = (y * 2).relu()
        y.add_(1)
        y.sum()
    seen = counts(p, "op")
    assert {name: seen[name] for name in ("mul", "relu", "sum", "add_", "add")} == {
        "mul": 3, "relu": 3, "sum": 1, "add_": 1, "add": 1,
    }  # fmt: skip


def test_backward_steps_have_their_nodes_names(device):
    x = webtorch.ones(3, device=device, requires_grad=True)
    with profile() as p:
        (x.exp() * 2).sum().backward()
    assert {"ExpBackward0", "MulBackward0", "SumBackward0", "AccumulateGrad"} <= set(counts(p, "backward"))


def test_optimizer_steps_are_ranges(device):
    weight = webtorch.ones(3, device=device, requires_grad=True)
    optimizer = webtorch.optim.SGD([weight], lr=0.1)
    with profile() as p:
        weight.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    ranges = counts(p, "range")
    assert ranges["Optimizer.step#SGD.step"] == 1 and ranges["Optimizer.zero_grad#SGD.zero_grad"] == 1


def test_compounds_hold_the_ops_they_are_made_of():
    x = webtorch.ones(3, 3, device="cpu")
    with profile() as p:
        webtorch.matmul(x, x)
        x.matmul(x)
        x @ x
    calls = [event for event in p.events() if event.name == "matmul"]
    assert len(calls) == 3
    assert all(any(child.name == "_contract" for child in call.cpu_children) for call in calls)


@pytest.mark.gpu
def test_kernels_are_the_ones_that_ran():
    """The same kernels as `webtorch.debug.kernels` sees, each with a time, on the GPU's own row."""
    x = webtorch.rand(64, 64, device="webgpu")
    webtorch.sync_device()
    with webtorch.debug.kernels() as ran, profile() as p:
        y = (x * 2 + 1).relu()
        (y @ y).sum().item()
        webtorch.sync_device()
    seen = [event for event in p.events() if event.category == "kernel" and event.name != "kernel: copy"]
    assert [event.name for event in seen] == [f"kernel: {record.name}" for record in ran]
    assert len(seen) >= 2
    assert all(event.device_type == "webgpu" and event.duration > 0 for event in seen)
    assert [event.arguments["bytes"] for event in seen] == [record.bytes for record in ran]


@pytest.mark.gpu
def test_the_engines_steps_are_shown():
    x = webtorch.rand(5, 7, device="webgpu")
    webtorch.sync_device()
    with profile() as p:
        value = ((x * 3.25).cos() + x.exp()).sum()
        value.item()
    seen = counts(p, "runtime")
    assert seen["webtorch::plan"] >= 1 and seen["webtorch::read"] == 1 and seen["webtorch::submit"] >= 1
    assert seen["webtorch::launch"] == sum(event.category == "kernel" for event in p.events())
    assert seen.get("webtorch::render", 0) == seen.get("webtorch::compile", 0)


@pytest.mark.gpu
def test_what_was_pending_before_does_not_count_and_what_is_pending_at_the_end_does():
    before = webtorch.rand(10, 10, device="webgpu").sin()
    with profile() as p:
        after = webtorch.zeros(10, 10, device="webgpu").cos()
    names = [event.name for event in p.events() if event.category == "kernel"]
    assert len(names) == 1 and "cos" in names[0] and "sin" not in names[0]
    assert before._storage.node.buffer is not None and after._storage.node.buffer is not None


def test_a_profile_of_the_cpu_alone_touches_no_gpu():
    import subprocess

    code = (
        "import sys, webtorch\n"
        "with webtorch.profiler.profile() as p:\n"
        "    webtorch.ones(3, device='cpu').sum()\n"
        "assert p.gpu_timing is None and 'wgpu' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


# ---- times ----------------------------------------------------------------------------------------------------------


def test_times_add_up():
    """Self times of all events sum up to the totals of the outermost ones, within what rounding costs."""
    with profile() as p:
        with record_function("outer"):
            burn(5)
            with record_function("inner"):
                burn(10)
            webtorch.ones(2, device="cpu").add(1)
    rows = {row.key: row for row in p.key_averages()}
    assert 10_000 <= rows["inner"].cpu_time_total < 30_000
    assert rows["outer"].cpu_time_total >= rows["inner"].cpu_time_total + 5_000
    assert 5_000 <= rows["outer"].self_cpu_time_total <= rows["outer"].cpu_time_total - rows["inner"].cpu_time_total
    top = sum(event.cpu_time_total for event in p.events() if event.cpu_parent is None)
    assert p.self_cpu_time_total == pytest.approx(top, rel=1e-6)
    assert p.total_average().self_cpu_time_total == pytest.approx(top, rel=1e-6)


def test_recursive_ranges_are_not_counted_twice_in_totals():
    @record_function("again")
    def again(depth):
        burn(2)
        if depth:
            again(depth - 1)

    start = time.perf_counter()
    with profile() as p:
        again(3)
    wall = (time.perf_counter() - start) * 1e6
    row = next(row for row in p.key_averages() if row.key == "again")
    assert row.count == 4
    assert 8_000 <= row.self_cpu_time_total <= row.cpu_time_total <= wall


@pytest.fixture(params=TIMINGS)
def timing(request, monkeypatch):
    """Each way to time kernels, on adapters that can do it."""
    from webtorch.backends.wgpu import get_device

    d = get_device()
    d.sync()
    features = set(d.features)
    if request.param == "timestamps" and "timestamp-query-inside-passes" not in features:
        pytest.skip("the adapter has no timestamps inside passes")
    if request.param == "timestamps around passes":
        if "timestamp-query" not in features:
            pytest.skip("the adapter has no timestamps")
        features -= {"timestamp-query-inside-passes", "timestamp-query-inside-encoders"}
    if request.param == "wall time":
        features = {name for name in features if not name.startswith("timestamp")}
    monkeypatch.setattr(d, "features", frozenset(features))
    return request.param


@pytest.mark.gpu
def test_gpu_times_are_real(timing):
    """Heavy kernels take longer than light ones; all of them fit into the time that passed; results are the same."""
    light = webtorch.rand(16, 16, device="webgpu")
    heavy = webtorch.rand(384, 384, device="webgpu")
    expected = (light @ light).numpy(), (heavy @ heavy).numpy()
    start = time.perf_counter()
    with profile() as p:
        with record_function("light"):
            a = light @ light
        with record_function("heavy"):
            b = heavy @ heavy
        a.numpy()
        b.numpy()
    wall = (time.perf_counter() - start) * 1e6
    assert p.gpu_timing == timing
    rows = {row.key: row for row in p.key_averages()}
    assert 0 < rows["light"].device_time_total < rows["heavy"].device_time_total
    events = p.events()
    assert rows["light"].device_time_total + rows["heavy"].device_time_total == pytest.approx(
        events.self_device_time_total
    )
    assert events.self_device_time_total < wall
    ran = [event for event in events if event.category == "kernel"]
    assert all(0 <= event.time_range.start and event.time_range.end < wall for event in ran)
    assert all(event.start >= event.cpu_parent.start for event in ran)
    assert np.array_equal(a.numpy(), expected[0]) and np.array_equal(b.numpy(), expected[1])


@pytest.mark.gpu
@pytest.mark.parametrize("raw", [True, False])
def test_many_kernels_in_one_batch_and_many_batches(timing, raw, monkeypatch):
    """More kernels than one set of timestamps holds, more batches than stay unread: every one has its time."""
    from webtorch.backends.wgpu import get_device
    from webtorch.backends.wgpu import timing as module

    monkeypatch.setattr(module, "CAPACITY", 4)
    monkeypatch.setattr(module, "BATCHES_KEPT", 2)
    d = get_device()
    before = d.uses_raw_calls
    d.uses_raw_calls = raw
    try:
        x = webtorch.zeros(8, 8, device="webgpu")
        x.numpy()
        with profile() as p:

            def work():
                nonlocal x
                for _ in range(30):
                    x = webtorch.matmul(x, x) + 1.0
                    x = x / x.sum()

            webtorch.webgpu.batch(work)
        ran = [event for event in p.events() if event.category == "kernel"]
        assert len(ran) >= 60 and all(event.duration > 0 for event in ran)
        assert x.sum().item() == pytest.approx(1)
    finally:
        d.uses_raw_calls = before


@pytest.mark.gpu
def test_a_kernel_counts_for_who_asked_for_it():
    """The value is read far from where it was asked for; the GPU time stands with the asking."""
    x = webtorch.rand(128, 128, device="webgpu")
    webtorch.sync_device()
    with profile() as p:
        with record_function("asking"):
            y = x @ x
        with record_function("reading"):
            y.numpy()
    rows = {row.key: row for row in p.key_averages()}
    assert rows["asking"].device_time_total > 0
    assert rows["reading"].device_time_total == 0
    kernel = next(event for event in p.events() if event.category == "kernel")
    assert kernel in kernel.cpu_parent.kernels and kernel.cpu_parent.category == "op"


@pytest.mark.gpu
def test_copies_have_a_time():
    """A write that cannot take over the memory of the old value copies it first."""
    from webtorch.backends.wgpu import get_device

    if "timestamp-query-inside-encoders" not in get_device().features:
        pytest.skip("the adapter cannot time copies")
    x = webtorch.rand(64, 64, device="webgpu")
    saved = x * 1
    saved.numpy()
    with profile() as p:
        old = saved.detach().clone()
        old.numpy()
        device = get_device()
        source = device.upload(np.ones(1024, np.uint8))
        target = device.allocate(1024)
        device.copy(source, target, 1024)
    copies = [event for event in p.events() if event.name == "kernel: copy"]
    assert len(copies) == 1 and copies[0].duration > 0


# ---- shapes, stacks, memory -----------------------------------------------------------------------------------------


def test_shapes_group_the_averages(device):
    small, large = webtorch.ones(2, 3, device=device), webtorch.ones(4, 5, device=device)
    with profile(record_shapes=True) as p:
        for x in (small, small, large):
            x.add(1)
        webtorch.cat([small, small])
    rows = [(row.count, row.input_shapes) for row in p.key_averages(group_by_input_shape=True) if row.key == "add"]
    assert sorted(rows, reverse=True) == [(2, [[2, 3], []]), (1, [[4, 5], []])]
    assert [row.input_shapes for row in p.key_averages(group_by_input_shape=True) if row.key == "cat"] == [
        [[[2, 3], [2, 3]]]
    ]
    assert "[[2, 3], []]" in p.key_averages(group_by_input_shape=True).table(sort_by="count")
    assert next(row for row in p.key_averages() if row.key == "add").count == 3


def test_stacks_name_the_programs_lines():
    def inner(x):
        return x.exp()

    with profile(with_stack=True) as p:
        x = webtorch.ones(2, device="cpu")
        inner(x)
        inner(x)
        x.exp()
    stacks = [event.stack for event in p.events() if event.name == "exp"]
    assert all(stack[0].startswith(__file__) for stack in stacks)
    assert stacks[0][0].endswith("inner") and "test_stacks_name" in stacks[0][1] and "test_stacks_name" in stacks[2][0]
    rows = p.key_averages(group_by_stack_n=1)
    assert sorted(row.count for row in rows if row.key == "exp") == [1, 2]
    assert "Source Location" in rows.table()


def test_export_stacks(tmp_path):
    with profile(with_stack=True) as p:
        with record_function("busy; really"):
            burn(3)
    p.export_stacks(tmp_path / "stacks.txt")
    (line,) = (tmp_path / "stacks.txt").read_text().splitlines()
    frames, microseconds = line.rsplit(" ", 1)
    assert int(microseconds) >= 3000 and "test_export_stacks" in frames.split(";")[-3]
    with pytest.raises(ValueError, match="metric"):
        p.export_stacks(tmp_path / "x", metric="calls")
    with profile() as q:
        pass
    with pytest.raises(ValueError, match="with_stack"):
        q.export_stacks(tmp_path / "x")


def test_cpu_memory_per_op():
    x = webtorch.ones(256, 256, device="cpu")  # 256 KiB
    with profile(profile_memory=True) as p:
        with record_function("net"):
            y = x.exp()
            z = x.exp().add(1)  # the result of exp is given back after add
            del z
    rows = {row.key: row for row in p.key_averages()}
    assert rows["exp"].self_cpu_memory_usage == 2 * 262144
    assert rows["add"].self_cpu_memory_usage == 262144
    assert rows["net"].cpu_memory_usage == 262144 and rows["net"].self_cpu_memory_usage == -2 * 262144
    assert y.numel() == 65536
    counters = [event for event in p.trace()["traceEvents"] if event["ph"] == "C"]
    assert [event["args"]["bytes"] for event in counters] == [262144, 524288, 786432, 524288, 262144]


@pytest.mark.gpu
def test_gpu_memory_per_op():
    x = webtorch.ones(256, 256, device="webgpu") * 2
    x.numpy()
    webtorch.empty_cache()
    with profile(profile_memory=True) as p:
        with record_function("asking"):
            y = x.exp()
        y.numpy()
    rows = {row.key: row for row in p.key_averages()}
    assert rows["exp"].self_device_memory_usage == 262144
    assert rows["asking"].device_memory_usage == 262144
    assert rows["webtorch::launch"].self_device_memory_usage == 0
    in_use = [event["args"]["bytes"] for event in p.trace()["traceEvents"] if event.get("name") == "webgpu memory"]
    assert in_use[-1] == webtorch.memory_stats()["active_bytes"]
    with profile() as p:
        x.exp().numpy()
    assert all(row.device_memory_usage == 0 for row in p.key_averages())


# ---- tables ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded():
    with profile(profile_memory=True) as p:
        x = webtorch.ones(64, 64, device="cpu")
        with record_function("slow"):
            burn(4)
        for _ in range(5):
            x.add(1)
        x.matmul(x)
    return p


@pytest.mark.parametrize(
    "sort_by",
    ["cpu_time", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage", "count"],
)
def test_tables_are_sorted(recorded, sort_by):
    rows = {row.key: row for row in recorded.key_averages()}
    lines = recorded.key_averages().table(sort_by=sort_by, row_limit=-1).splitlines()[3 : 3 + len(rows)]
    values = [getattr(rows[line.split("  ")[0].strip() or line.split()[0]], sort_by) for line in lines]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1


def test_tables_are_limited_and_say_so(recorded):
    averages = recorded.key_averages()
    text = averages.table(sort_by="name", row_limit=2, header="what it took")
    assert f"... {len(averages) - 2} more rows" in text and "what it took" in text
    assert len(averages.table(row_limit=-1).splitlines()) == len(averages) + 5
    assert averages.table(sort_by="duration").splitlines()[3].split()[0] == "slow"
    assert "us" not in averages.table(time_unit="ms").splitlines()[3]
    assert str(averages) == averages.table()
    assert "slow" in recorded.table(top_level_events_only=True) and "_contract" not in recorded.table(
        top_level_events_only=True
    )
    for line in averages.table(max_name_column_width=6).splitlines()[3:-2]:
        assert len(line.split()[0]) <= 6


def test_unknown_columns_are_refused(recorded):
    with pytest.raises(ValueError, match="Did you mean 'cpu_time_total'"):
        recorded.key_averages().table(sort_by="cpu_time_totl")
    with pytest.raises(ValueError, match="time_unit"):
        recorded.key_averages().table(time_unit="days")


def test_the_columns_are_pytorchs(recorded):
    torch = pytest.importorskip("torch")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as p:
        torch.ones(64, 64).add(1)
    expected = p.key_averages().table().splitlines()[1]
    got = recorded.key_averages().table().splitlines()[1]
    assert got.split() == expected.split()


@pytest.mark.gpu
def test_tables_show_gpu_times_and_how_they_were_taken():
    x = webtorch.rand(64, 64, device="webgpu")
    with profile() as p:
        (x @ x).numpy()
    for sort_by in ("device_time_total", "self_cuda_time_total", "webgpu_time", "self_device_memory_usage"):
        text = p.key_averages().table(sort_by=sort_by)
        assert "GPU total" in text and f"(by {p.gpu_timing})" in text
    first = p.key_averages().table(sort_by="self_device_time_total").splitlines()[3]
    assert "_contract" in first


# ---- traces ---------------------------------------------------------------------------------------------------------


def check_trace(trace):
    """Complete events on each track are nested, never half overlapping; arrows have both ends; all is JSON."""
    events = json.loads(json.dumps(trace))["traceEvents"]
    tracks = {}
    for event in events:
        assert event["ph"] in "MXCsf" and isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    for track in tracks.values():
        open_ends = []
        for event in sorted(track, key=lambda event: (event["ts"], -event["dur"])):
            while open_ends and open_ends[-1] <= event["ts"] + 1e-3:
                open_ends.pop()
            end = event["ts"] + event["dur"]
            assert not open_ends or end <= open_ends[-1] + 1e-3, event
            open_ends.append(end)
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert all(starts[number]["ts"] <= ends[number]["ts"] for number in starts)
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert tracks.keys() <= named
    return events


def test_traces_are_well_formed(device, tmp_path):
    x = webtorch.rand(32, 32, device=device, requires_grad=True)
    with profile(record_shapes=True, profile_memory=True, with_stack=True) as p:
        with record_function("step", "the first"):
            (x @ x).relu().sum().backward()
    p.add_metadata("what", "a test")
    p.add_metadata_json("numbers", "[1, 2]")
    p.export_chrome_trace(str(tmp_path / "trace.json"))
    p.key_averages().export_chrome_trace(tmp_path / "trace.json.gz")
    trace = json.loads((tmp_path / "trace.json").read_text())
    with gzip.open(tmp_path / "trace.json.gz", "rt") as file:
        assert json.load(file) == trace
    assert trace["what"] == "a test" and trace["numbers"] == [1, 2]
    events = check_trace(trace)
    kinds = {event["cat"] for event in events if event["ph"] == "X"}
    assert {"cpu_op", "user_annotation"} <= kinds
    step = next(event for event in events if event["name"] == "step")
    assert step["args"]["args"] == "the first"
    matmul = next(event for event in events if event["name"] == "matmul")
    assert matmul["args"]["Input Dims"] == [[32, 32], [32, 32]] and matmul["args"]["Call stack"]
    on_gpu = [event for event in events if event.get("cat") == "kernel"]
    if device == "webgpu":
        cpu_processes = {event["pid"] for event in events if event.get("cat") == "cpu_op"}
        assert on_gpu and not cpu_processes & {event["pid"] for event in on_gpu}
        assert len([event for event in events if event["ph"] == "s"]) == len(on_gpu)
    else:
        assert not on_gpu


def test_overlapping_kernels_get_tracks_of_their_own():
    from webtorch.profiler_events import FunctionEvent, chrome_trace

    events = []
    for number, (start, end) in enumerate([(0, 10_000), (5_000, 15_000), (10_000, 20_000), (12_000, 13_000)]):
        event = FunctionEvent(number, "k", "kernel", 0, start, None)
        event.end = end
        events.append(event)
    trace = check_trace(chrome_trace(events, [], {}, "adapter"))
    assert [event["tid"] for event in trace if event["ph"] == "X"] == [1, 2, 1, 3]


# ---- ranges ---------------------------------------------------------------------------------------------------------


def test_record_function_in_every_form():
    @record_function("decorated")
    def decorated(x):
        return x + 1

    @record_function("coroutine")
    async def coroutine(x):
        await asyncio.sleep(0.003)
        return x + 2

    @record_function("generator")
    def generator():
        got = yield 1
        yield got

    async def both():
        return await asyncio.gather(coroutine(1), coroutine(2))

    with profile() as p:
        assert decorated(1) == 2
        assert asyncio.run(both()) == [3, 4]
        running = generator()
        assert next(running) == 1 and running.send(5) == 5 and list(running) == []
        assert record_function("called", lambda: 7) == 7
        assert asyncio.run(profiler.record_function_async("awaited", lambda: coroutine(3))) == 5
        again = record_function("again")
        with again, again:
            pass
        with again:
            pass
    assert counts(p, "range") == {"decorated": 1, "coroutine": 3, "generator": 1, "called": 1, "awaited": 1, "again": 3}
    waits = [event for event in p.events() if event.name == "coroutine"]
    assert all(event.duration >= 3000 for event in waits)
    assert decorated(1) == 2 and decorated.__name__ == "decorated"


def test_record_function_refuses_nonsense():
    with pytest.raises(TypeError, match="@record_function"):

        @record_function
        def forgot_the_name():
            pass

    with pytest.raises(TypeError, match="second argument"):
        record_function("name", 3)


def test_ranges_end_with_exceptions():
    with profile() as p:
        with pytest.raises(KeyError):
            with record_function("fails"):
                raise KeyError
        with pytest.raises(RuntimeError):
            webtorch.ones(2, device="cpu").add(webtorch.ones(3, device="cpu"))
        webtorch.ones(2, device="cpu")
    events = {event.name: event for event in p.events()}
    assert events["ones"].cpu_parent is None and events["fails"].end > 0


def test_ranges_that_cross_the_edges_of_a_profile():
    early = record_function("early")
    early.__enter__()
    with profile() as p:
        early.__exit__()
        late = record_function("late")
        late.__enter__()
        webtorch.ones(1, device="cpu")
    late.__exit__()
    assert counts(p, "range") == {"late": 1}
    with profile() as q:
        webtorch.ones(1, device="cpu")
    assert q.events()[0].cpu_parent is None
    duration = next(event.duration for event in p.events() if event.name == "late")
    assert 0 < duration < 1e6


def test_threads_have_rows_of_their_own(device):
    x = webtorch.ones(8, device=device)

    def work():
        for _ in range(20):
            with record_function("in a thread"):
                x.add(1).sum()

    threads = [threading.Thread(target=work) for _ in range(3)]
    with profile() as p:
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    assert counts(p)["in a thread"] == 80
    events = p.events()
    assert len({event.thread for event in events if event.name == "in a thread"}) == 4
    assert all(
        event.cpu_parent.thread == event.thread
        for event in events
        if event.name in ("add", "sum") and event.category == "op"
    )
    check_trace(p.trace())


# ---- running --------------------------------------------------------------------------------------------------------


def test_profile_runs_a_function():
    p = profile(lambda: webtorch.ones(2, device="cpu").add(1))
    assert counts(p)["add"] == 1 and p.result.tolist() == [2, 2]
    seen = []
    p = profile(lambda running: seen.append(running))
    assert seen == [p]
    p = profile(lambda optional=3: seen.append(optional))
    assert seen[1] == 3

    async def work(running):
        await asyncio.sleep(0)
        webtorch.ones(2, device="cpu").add(1)
        return running

    async def main():
        p = await profile(work)
        assert p.result is p
        return p

    assert counts(asyncio.run(main()))["add"] == 1

    async def later():
        return await profile(lambda: asyncio.sleep(0, "slept"))

    assert asyncio.run(later()).result == "slept"


def test_a_failing_function_stops_the_profile():
    with pytest.raises(ZeroDivisionError):
        profile(lambda: 1 / 0)
    with profile() as p:
        pass
    assert len(p.events()) == 0
    with pytest.raises(ZeroDivisionError):
        with profile() as p:
            webtorch.ones(1, device="cpu")
            raise ZeroDivisionError
    assert counts(p)["ones"] == 1


def test_one_profile_at_a_time():
    with profile() as p:
        with pytest.raises(RuntimeError, match="already"):
            profile().start()
        webtorch.ones(1, device="cpu")
    assert counts(p)["ones"] == 1


def test_start_and_stop():
    p = profile()
    with pytest.raises(RuntimeError, match="nothing is recorded"):
        p.key_averages()
    p.stop()
    p.start()
    webtorch.ones(1, device="cpu")
    p.stop()
    p.stop()
    assert counts(p)["ones"] == 1
    p.start()
    webtorch.zeros(1, device="cpu")
    p.stop()
    assert "ones" not in counts(p) and counts(p)["zeros"] == 1
    off = profile(False)
    with off:
        webtorch.ones(1, device="cpu")
    with pytest.raises(RuntimeError):
        off.events()


def test_activities():
    with profile(activities=["webgpu"]) as p:
        with record_function("range"):
            webtorch.ones(1, device="cpu").add(1)
    assert counts(p) == {"range": 1}
    assert profile(activities=["cuda"]).activities == {ProfilerActivity.WEBGPU}
    assert profile(activities=[ProfilerActivity.CPU]).activities == {ProfilerActivity.CPU}
    for bad in (["tpu"], [3], []):
        with pytest.raises(ValueError, match="activit"):
            profile(activities=bad)
    with pytest.raises(TypeError):
        profile(3)
    assert ProfilerActivity.CPU in profiler.supported_activities()


@pytest.mark.gpu
def test_cpu_activity_alone_times_no_kernels():
    x = webtorch.ones(4, device="webgpu")
    with profile(activities=["cpu"]) as p:
        (x + 1).numpy()
    assert p.gpu_timing is None and not any(event.category == "kernel" for event in p.events())


@pytest.mark.parametrize(
    "numbers",
    [
        dict(wait=1, warmup=1, active=2, repeat=2),
        dict(wait=0, warmup=0, active=1),
        dict(wait=2, warmup=1, active=3, skip_first=4),
        dict(wait=3, warmup=1, active=1, repeat=2, skip_first=2, skip_first_wait=1),
        dict(wait=0, warmup=2, active=1, repeat=1),
    ],
)
@pytest.mark.filterwarnings("ignore:Profiler won:UserWarning")
def test_schedules_are_pytorchs(numbers):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.profiler.schedule(**numbers), schedule(**numbers)
    assert [ours(step).name for step in range(40)] == [theirs(step).name for step in range(40)]


@pytest.mark.parametrize("bad", [dict(wait=-1, warmup=0, active=1), dict(wait=0, warmup=0, active=0)])
def test_bad_schedules_are_refused(bad):
    with pytest.raises(ValueError, match="schedule"):
        schedule(**bad)


def test_a_schedule_records_its_active_steps(tmp_path):
    ready = []

    def keep(p):
        ready.append([event.name for event in p.events() if event.category == "range"])
        profiler.tensorboard_trace_handler(tmp_path, "worker", use_gzip=True)(p)

    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=keep) as p:
        for step in range(10):
            with record_function(f"step {step}"):
                webtorch.ones(1, device="cpu")
            p.step()
    assert ready == [
        ["ProfilerStep#2", "step 2", "ProfilerStep#3", "step 3"],
        ["ProfilerStep#6", "step 6", "ProfilerStep#7", "step 7"],
    ]
    assert p.step_num == 10 and p.current_action is ProfilerAction.NONE
    written = list(tmp_path.glob("worker.*.pt.trace.json.gz"))
    assert len(written) == 2
    with gzip.open(written[0], "rt") as file:
        check_trace(json.load(file))


def test_on_trace_ready_without_a_schedule():
    ready = []
    with profile(on_trace_ready=ready.append) as p:
        webtorch.ones(1, device="cpu")
        p.step()
        webtorch.ones(1, device="cpu")
    assert ready == [p] and counts(p)["ones"] == 2
    assert "ones" in str(p) and "events" in repr(p)


# ---- leaving no trace -----------------------------------------------------------------------------------------------


def state_of_everything():
    found = {
        (str(owner), name): vars(owner).get(name)
        for owner, name, _ in profiler.places(True)
        if isinstance(owner, (type, types.ModuleType))
    }
    device = profiler.current_device()
    if device is not None:
        found["device"] = {name: vars(device).get(name) for name in ("read", "upload", "sync", "pipeline")}
        found["submit"] = vars(device._submitter).get("_submit"), device._submitter.timer, device._pool.watch
    return found


def test_everything_is_as_before_when_nobody_listens(device):
    webtorch.ones(1, device=device).add(1).numpy()
    before, observers = state_of_everything(), list(engine.observers)
    original = graph.record, kernels.run
    with profile(profile_memory=True):
        assert (graph.record, kernels.run) != original
        webtorch.ones(1, device=device).add(1).numpy()
        assert state_of_everything() != before
    with pytest.raises(ZeroDivisionError), profile(profile_memory=True):
        raise ZeroDivisionError
    assert state_of_everything() == before
    assert engine.observers == observers and (graph.record, kernels.run) == original


@pytest.mark.gpu
def test_profiling_changes_no_result():
    def train():
        webtorch.manual_seed(0)
        w = webtorch.randn(16, 16, device="webgpu", requires_grad=True)
        x = webtorch.randn(8, 16, device="webgpu")
        for _ in range(3):
            loss = (x @ w).tanh().square().mean()
            loss.backward()
            with webtorch.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
        return w.detach().numpy()

    expected = train()
    with profile(record_shapes=True, profile_memory=True, with_stack=True):
        got = train()
    assert np.array_equal(got, expected)


# ---- NVTX -----------------------------------------------------------------------------------------------------------


def test_emit_nvtx_pushes_and_pops(monkeypatch):
    calls = []
    fake = types.ModuleType("nvtx")
    fake.push_range = calls.append
    fake.pop_range = lambda: calls.append(None)
    monkeypatch.setitem(sys.modules, "nvtx", fake)
    x = webtorch.ones(2, 3, device="cpu", requires_grad=True)
    before = state_of_everything()
    with emit_nvtx(record_shapes=True) as marker:
        assert marker.available
        with record_function("mine"):
            x.exp().sum().backward()
    names = [name for name in calls if name is not None]
    assert len(calls) == 2 * len(names)
    assert "mine" in names and "exp, sizes = [[2, 3]]" in names and "ExpBackward0" in names
    depth = 0
    for name in calls:
        depth += 1 if name is not None else -1
        assert depth >= 0
    assert state_of_everything() == before
    calls.clear()
    x.exp()
    with emit_nvtx(enabled=False):
        x.exp()
    assert not calls


def test_emit_nvtx_beside_a_profile(monkeypatch):
    calls = []
    fake = types.ModuleType("nvtx")
    fake.push_range, fake.pop_range = calls.append, lambda: None
    monkeypatch.setitem(sys.modules, "nvtx", fake)
    x = webtorch.ones(2, device="cpu")
    with profile() as p:
        with emit_nvtx():
            x.exp()
        x.exp()
    assert calls == ["exp"] and counts(p)["exp"] == 2


def test_emit_nvtx_does_nothing_without_nvtx(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    before = state_of_everything()
    with emit_nvtx() as marker:
        assert state_of_everything() == before
        assert webtorch.ones(2, device="cpu").sum().item() == 2
    assert not marker.available


def test_the_older_names():
    assert autograd_profiler.profile is profile and autograd_profiler.record_function is record_function
    assert autograd_profiler.ProfilerContext is profile and autograd_profiler.emit_nvtx is emit_nvtx
    with autograd_profiler.profile(True) as p:
        webtorch.ones(1, device="cpu")
    assert p.function_events[0].name == "ones" and p.function_events.total_average().count >= 1


def test_the_top_level_names():
    assert webtorch.autograd.profile is profile and webtorch.autograd.emit_nvtx is emit_nvtx
    assert webtorch.autograd.profiler.record_function is record_function is webtorch.profiler.record_function
    with pytest.raises(AttributeError, match="profilr"):
        webtorch.autograd.profilr  # noqa: B018
