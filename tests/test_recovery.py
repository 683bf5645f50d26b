"""What happens when the GPU fails: it is lost, takes too long, runs out of memory, or the process forks.

Most tests run in a process of their own, because the device that they break is the process's only one.
"""

import os
import subprocess
import sys
import textwrap
import time

import pytest

import webtorch
from webtorch import webgpu
from webtorch.backends.wgpu import get_device

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")]

# A kernel that takes longer the larger its parameter is, on any adapter: each workgroup counts, one after another.
SLOW = """
import time
import numpy as np
import webtorch
from webtorch import errors, webgpu
from webtorch.backends.wgpu import get_device, reset_device

SOURCE = '''
@group(0) @binding(0) var<uniform> p: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) i: vec3<u32>) {
  var a = i.x;
  for (var k = 0u; k < p.x; k++) { a = a * 1664525u + 1013904223u; if (a == p.y) { a = 3u; } }
  y[i.x & 63u] = a;
}
'''
d = get_device()
buffer = d.allocate(256)

def work(rounds, groups):
    pipeline = d.pipeline(SOURCE, "slow", 0, 1, 16)
    d.dispatch(pipeline, [(buffer, 0, 256)], np.array([rounds, 7, 0, 0], np.uint32).tobytes(), groups)
"""


def run_python(code: str, timeout: float = 60) -> subprocess.CompletedProcess:
    environment = dict(os.environ, PYTHONWARNINGS="ignore:the webgpu device is:RuntimeWarning")
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=timeout, env=environment
    )


def succeeds(code: str, timeout: float = 60) -> str:
    """Run the program; it must end well, and quietly but for wgpu's own line about a device that was destroyed."""
    result = run_python(code, timeout)
    said = result.stderr.replace("DEVICE LOST!\nThe WGPU device was lost (destroyed):\nDevice lost\n", "")
    assert (result.returncode, said) == (0, ""), (result.returncode, result.stderr[-3000:])
    return result.stdout


# ---- loss -----------------------------------------------------------------------------------------------------------


def test_after_a_loss_cpu_tensors_work_and_a_new_device_computes():
    """The device is destroyed in the middle of work; nothing aborts, and the new device gives right results."""
    succeeds(
        """
        import numpy as np
        import webtorch
        from webtorch import errors, webgpu
        from webtorch.backends.wgpu import get_device

        def step(device):
            x = webtorch.arange(12, dtype=webtorch.float32, device=device).reshape(3, 4)
            return ((x @ x.t()).relu() + 1).sum(dim=1)

        expected = step("cpu").numpy()
        host = webtorch.arange(5.0)
        old = webtorch.arange(6.0, device="webgpu") * 2
        assert np.array_equal(step("webgpu").numpy(), expected)
        old.numpy()
        pending = old + 1
        d = get_device()
        d.gpu.destroy()
        try:
            (old + host.to("webgpu").sum()).numpy()
        except errors.DeviceLostError as error:
            assert "recover" in str(error), error
        else:
            raise AssertionError("a lost device computed something")
        assert host.sum().item() == 10
        assert np.array_equal(step("cpu").numpy(), expected)
        for attempt in range(2):
            try:
                step("webgpu").numpy()
            except errors.DeviceLostError:
                pass
            else:
                raise AssertionError("a lost device computed something")
        webgpu.recover()
        assert get_device() is not d
        assert np.array_equal(step("webgpu").numpy(), expected)
        assert np.array_equal(step("webgpu").numpy(), expected)
        for lost in (lambda: old.numpy(), lambda: pending.numpy(), lambda: (old * 3).numpy(), lambda: old.clone().numpy(),
                     lambda: old.add_(1).numpy()):
            try:
                lost()
            except errors.DeviceLostError as error:
                assert "gone" in str(error), error
            else:
                raise AssertionError("memory of the old device was used")
        del old, pending  # what is pending and lost would make sync_device raise, too
        webtorch.sync_device()
        back = host.to("webgpu")
        assert back.sum().item() == 10
        """
    )


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_loss_after_any_submit_ends_in_an_error_or_nothing(after):
    """A training loop whose device is destroyed after so many submits: DeviceLostError, recovery, the same numbers."""
    succeeds(
        f"""
        import webtorch
        from webtorch import errors, webgpu
        from webtorch.backends.wgpu import get_device

        def train(lose_after):
            w = webtorch.full((4, 4), 0.5, device="webgpu", requires_grad=True)
            x = webtorch.arange(8.0, device="webgpu").reshape(2, 4)
            for step in range(4):
                loss = ((x @ w).tanh() ** 2).sum()
                loss.backward()
                with webtorch.no_grad():
                    w -= 0.01 * w.grad
                w.grad = None
                loss.item()
                if lose_after and get_device().stats()["submits"] >= lose_after:
                    get_device().gpu.destroy()
                    lose_after = None
            return loss.item(), w.detach().cpu().tolist()

        expected = train(None)
        try:
            train(get_device().stats()["submits"] + {after - 1})
        except errors.DeviceLostError:
            pass
        else:
            raise AssertionError("nothing raised")
        webgpu.recover()
        assert train(None) == expected
        """
    )


def test_recover_leaves_a_healthy_device_alone():
    device = get_device()
    webgpu.recover()
    assert get_device() is device


def test_memory_of_another_device_is_never_taken_for_ones_own():
    """Buffers are numbered for the whole process: one of an old device has no namesake on the new one."""
    succeeds(
        """
        import numpy as np
        from webtorch import errors
        from webtorch.backends.wgpu import get_device, reset_device
        first = get_device()
        old = first.upload(np.full(4, 1, np.uint32))
        reset_device()
        second = get_device()
        new = [second.upload(np.full(4, 2, np.uint32)) for _ in range(20)]
        assert old.uid not in [buffer.uid for buffer in new]
        source = '''
        @group(0) @binding(0) var<uniform> p: vec4<u32>;
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        @group(0) @binding(2) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) i: vec3<u32>) { y[i.x] = x[i.x]; }
        '''
        pipeline = second.pipeline(source, "copy", 1, 1, 16)
        for call in (lambda: second.read(old, 4), lambda: second.copy(old, new[0], 4),
                     lambda: second.copy(new[0], old, 4),
                     lambda: second.dispatch(pipeline, [(old, 0, 16), (new[0], 0, 16)], bytes(16), 1)):
            try:
                call()
            except errors.DeviceLostError as error:
                assert "gone" in str(error)
            else:
                raise AssertionError("memory of the old device was used")
        assert second.read(new[0], 16).view(np.uint32).tolist() == [2, 2, 2, 2]
        """
    )


# ---- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", ["d.sync()", "d.read(buffer, 4)", "d.flush(); d.upload(bytes(4)); d.sync()"])
@pytest.mark.parametrize("raw", [True, False])
def test_a_wait_ends_at_the_timeout(wait, raw):
    """A kernel of several seconds, half a second allowed: the wait ends in time, and so does the process."""
    start = time.monotonic()
    succeeds(
        f"""{SLOW}
d.uses_raw_calls = {raw}
rounds = 1000
groups = 256
work(1, 1)
d.sync()
while True:  # find out how much is much for this machine, at its quickest
    took = []
    for _ in range(3):
        start = time.perf_counter()
        work(rounds, groups)
        d.sync()
        took.append(time.perf_counter() - start)
    if min(took) > 0.05:
        break
    groups *= 2
for _ in range(round(4 / min(took))):  # about four seconds in total, in dispatches that no driver takes for hung
    work(rounds, groups)
webgpu.set_timeout(0.5)
start = time.monotonic()
try:
    {wait}
except errors.GPUTimeoutError as error:
    assert isinstance(error, errors.DeviceLostError)
    assert "slow" in str(error) and "recover" in str(error), error
else:
    raise AssertionError("the wait did not end")
assert time.monotonic() - start < 2, time.monotonic() - start
try:
    get_device()
except errors.DeviceLostError:
    pass
else:
    raise AssertionError("the device does not count as lost")
assert webtorch.arange(5).sum().item() == 10
webgpu.set_timeout(30)
webgpu.recover()
assert webtorch.arange(5.0, device="webgpu").sum().item() == 10
"""
    )
    assert time.monotonic() - start < 45


def test_a_process_ends_although_the_gpu_does_not():
    """Nobody recovers after the timeout: the process ends at once, with its own status and all it printed."""
    start = time.monotonic()
    result = run_python(
        f"""{SLOW}
import sys
webgpu.set_timeout(0.2)
try:
    while True:
        work(2000, 4096)
        d.sync()
        work(2000, 65535)
        d.flush()
        work(2000, 65535)
        d.sync()
except errors.GPUTimeoutError:
    print("lost")
    sys.exit(5)
"""
    )
    assert (result.returncode, result.stdout, result.stderr) == (5, "lost\n", "")
    assert time.monotonic() - start < 30


@pytest.fixture
def generous_timeout():
    webgpu.set_timeout(30)
    yield
    webgpu.set_timeout(None)


@pytest.mark.parametrize("raw", [True, False])
def test_results_are_the_same_with_a_timeout(generous_timeout, raw):
    device = get_device()
    before = device.uses_raw_calls
    device.uses_raw_calls = raw
    try:
        x = webtorch.arange(1000.0, device="webgpu")
        for _ in range(3):
            x = x + 1
            device.sync()
            assert x[:3].tolist() == x.cpu()[:3].tolist()
        assert x.sum().item() == 999 * 500 + 3000
        for _ in range(100):  # more submits than may be in flight without a wait
            x = x * 1.0
            webtorch.sync_device()
        assert x[0].item() == 3
    finally:
        device.uses_raw_calls = before


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "1"])
def test_bad_timeouts_are_refused(seconds):
    with pytest.raises(ValueError, match="set_timeout"):
        webgpu.set_timeout(seconds)


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_out_of_memory_names_the_live_tensors():
    """The table has dtype, shape, bytes and how many tensors share it; after deleting one there is room again."""
    device = get_device()
    device.sync()
    device.empty_cache()
    kept = webtorch.ones(512, 1031, device="webgpu") * 2
    view = kept.t()
    webtorch.sync_device()
    webgpu.set_memory_limit(device.stats()["active_bytes"] + (1 << 20))
    try:
        with pytest.raises(webtorch.OutOfMemoryError) as caught:
            webtorch.ones(2048, 1024, device="webgpu").numpy()
        error = caught.value
        assert error.table and error.table in str(error)
        row = next(line for line in error.table.splitlines() if "[512, 1031]" in line).split("  ")
        assert [cell.strip() for cell in row if cell] == [
            "2,111,488",
            "float32",
            "[512, 1031]",
            "webgpu:0",
            "realised",
            "2",
        ]
        del caught, error, row
        assert view[0, 0].item() == 2
        del kept, view
        assert float(webtorch.ones(512, 1024, device="webgpu").sum()) == 512 * 1024
    finally:
        webgpu.set_memory_limit(None)


def test_memory_that_is_kept_for_later_is_given_up_before_anything_fails(monkeypatch):
    """One more attempt, after what nobody uses was freed: cyclic garbage and the pool."""
    device = get_device()
    device.sync()
    device.empty_cache()
    attempts = []
    take = type(device)._try_take
    monkeypatch.setattr(type(device), "_try_take", lambda self, *args: attempts.append(args) or take(self, *args))
    webgpu.set_memory_limit(device.stats()["active_bytes"] + (5 << 20))
    try:
        cycle = [webtorch.full((1 << 19,), 1.0, device="webgpu")]  # 2 MiB in a cycle
        cycle.append(cycle)
        cycle[0].sum().item()
        other = webtorch.full((3 << 17,), 2.0, device="webgpu")  # 1.5 MiB that the pool keeps
        other.sum().item()
        del cycle, other
        attempts.clear()
        big = device.allocate(4 << 20)
        assert big.size == 4 << 20 and len(attempts) == 2
        attempts.clear()
        with pytest.raises(webtorch.OutOfMemoryError):
            device.allocate(4 << 20)
        assert len(attempts) == 2
        assert device.allocate(1 << 18).size == 1 << 18
    finally:
        webgpu.set_memory_limit(None)


def test_memory_statistics_are_true():
    """Active, pooled and peak bytes against what is known to be allocated; the top level has the same functions."""
    webtorch.sync_device()
    webtorch.empty_cache()
    webtorch.reset_peak_memory_stats()
    before = webtorch.memory_stats()
    assert before["pooled_bytes"] == 0 and before["peak_bytes"] == before["active_bytes"]
    x = webtorch.zeros(1024, 256, device="webgpu")  # a megabyte
    webtorch.sync_device()
    assert webtorch.memory_stats()["active_bytes"] == before["active_bytes"] + (1 << 20)
    y = x + 1
    y.numpy()
    assert webtorch.memory_stats()["active_bytes"] == before["active_bytes"] + (2 << 20)
    del x, y
    after = webtorch.memory_stats()
    assert after["active_bytes"] == before["active_bytes"]
    assert after["pooled_bytes"] == 2 << 20
    assert after["peak_bytes"] == before["active_bytes"] + (2 << 20)
    assert after["total_allocations"] == before["total_allocations"] + 2
    assert "2.10 MB" in webtorch.memory_summary()
    webtorch.empty_cache()
    assert webgpu.memory_stats()["pooled_bytes"] == 0


# ---- fork -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library has no on_exit")
@pytest.mark.parametrize("leave", ["sys.exit(3)", "os._exit(3)", "raise SystemExit(3)"])
def test_a_forked_child_ends_quietly_with_its_status(leave):
    """The driver's exit handler would wait for threads that the child does not have."""
    output = succeeds(
        f"""
        import os, sys
        import webtorch
        webtorch.ones(3, device="webgpu").sum().item()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            print("written at the end", end="")
            if {leave.startswith("os")}:
                sys.stdout.flush()
            {leave}
        status = os.waitpid(child, 0)[1]
        assert os.waitstatus_to_exitcode(status) == 3, status
        assert webtorch.ones(3, device="webgpu").sum().item() == 3
        """
    )
    assert output == "written at the end"
