"""The wgpu backend by itself: memory, batches, kernels, limits, threads, processes. Runs on any adapter, llvmpipe
included."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import webtorch
from webtorch import errors
from webtorch.backends.wgpu import buffers, get_device, submit
from webtorch.backends.wgpu.submit import fold

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:the webgpu device is:RuntimeWarning")]

GRID = """
@group(0) @binding(0) var<uniform> parameters: vec4<u32>;
fn position(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.x + group.y * groups.x + group.z * groups.x * groups.y) * SIZE + lane;
}
"""

# y = y * parameters.y + x
STEP = (
    GRID
    + """
const SIZE = 64u;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = position(group, groups, lane);
    if (i < parameters.x) { y[i] = y[i] * parameters.y + x[i]; }
}
"""
)

# y = number of the invocation + parameters.y, one invocation per workgroup
NUMBER = (
    GRID
    + """
const SIZE = 1u;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = position(group, groups, lane);
    if (i < parameters.x) { y[i] = i + parameters.y; }
}
"""
)


@pytest.fixture
def d():
    device = get_device()
    yield device
    device.sync()
    assert submit.settings.held == 0
    assert not device.commands_pending


@pytest.fixture(params=[True, False], ids=["native", "wgpu-py"])
def both(request, d):
    """The device with dispatches made natively and through wgpu-py."""
    before = d.uses_raw_calls
    d.uses_raw_calls = request.param
    yield d
    d.uses_raw_calls = before


@pytest.fixture
def held():
    """Nothing is flushed by number or time, only by need."""
    submit.settings.held += 1
    yield
    submit.settings.held -= 1


def words(*values):
    return np.array(values, np.uint32).tobytes()


def step(d, x, y, count, factor):
    pipeline = d.pipeline(STEP, "step", 1, 1, 16)
    d.dispatch(pipeline, [(x, 0, 4 * count), (y, 0, 4 * count)], words(count, factor, 0, 0), -(-count // 64))


def number(d, y, count, offset=0):
    pipeline = d.pipeline(NUMBER, "number", 0, 1, 16)
    d.dispatch(pipeline, [(y, 0, 4 * count)], words(count, offset, 0, 0), count)


def read(d, buffer, count):
    return d.read(buffer, 4 * count).view(np.uint32)


# Memory


def test_native_calls_are_used(d):
    assert d.uses_raw_calls, d.raw_problem


def test_size_classes_waste_at_most_a_quarter():
    for nbytes in [1, 4, 255, 256, 257, 4096, 4097, 10**6, 2**20 + 1, 2**27, 2**31 - 1]:
        size = buffers.size_class(nbytes)
        assert size % 256 == 0
        assert nbytes <= size <= max(256, nbytes + 255, nbytes * 1.25 + 1)
        assert buffers.size_class(size) == size


@pytest.mark.parametrize("nbytes", [1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 4099, 100_003])
def test_upload_and_read_give_the_bytes_back(both, nbytes):
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes, np.uint8)
    for form in (data, data.tobytes(), memoryview(data)):
        buffer = both.upload(form)
        assert (buffer.nbytes, buffer.size % 256) == (nbytes, 0)
        assert np.array_equal(both.read(buffer, nbytes), data)
    for offset in {0, 1, nbytes // 2, nbytes - 1}:
        assert np.array_equal(both.read(buffer, nbytes - offset, offset), data[offset:])


def test_upload_takes_any_dtype_and_layout(d):
    data = np.arange(24, dtype=np.float64).reshape(4, 6)
    for array in (data, data[::2, ::-1], np.float16(3.5), data.T):
        array = np.asarray(array)
        got = d.read(d.upload(array), array.nbytes).view(array.dtype).reshape(array.shape)
        assert np.array_equal(got, array)


def test_reads_through_a_staging_buffer_in_pieces(both, monkeypatch):
    monkeypatch.setattr(both._submitter, "mappable", False)
    monkeypatch.setattr(submit, "STAGING_LIMIT", 1 << 12)
    data = np.random.default_rng(0).integers(0, 256, 50_001, np.uint8)
    buffer = both.upload(data)
    for offset, count in [(0, data.size), (1, 9_999), (8, 4096), (49_999, 2)]:
        assert np.array_equal(both.read(buffer, count, offset), data[offset : offset + count])


def test_what_was_read_stays_when_the_buffer_changes(d):
    buffer = d.upload(np.arange(64, dtype=np.uint32))
    before = read(d, buffer, 64)
    step(d, buffer, target := d.upload(np.zeros(64, np.uint32)), 64, 1)
    d.copy(d.upload(np.full(64, 9, np.uint32)), buffer, 256)
    assert read(d, buffer, 64).tolist() == [9] * 64
    assert before.tolist() == list(range(64))
    assert read(d, target, 64).tolist() == list(range(64))


@pytest.mark.parametrize("nbytes", [0, -1])
def test_an_empty_buffer_is_refused(d, nbytes):
    with pytest.raises(errors.DeviceError, match="empty tensor"):
        d.allocate(nbytes)


def test_read_outside_the_buffer_is_refused(d):
    buffer = d.allocate(256)
    for nbytes, offset in [(257, 0), (1, 256), (-1, 0), (4, -4)]:
        with pytest.raises(errors.DeviceError, match="read of bytes"):
            d.read(buffer, nbytes, offset)
    assert d.read(buffer, 0).size == 0


def test_dead_buffers_return_to_the_pool_and_are_reused(d):
    gc.collect()
    d.empty_cache()
    start = d.stats()
    buffer = d.allocate(100_000)
    uid, size = buffer.uid, buffer.size
    assert d.stats()["active_bytes"] == start["active_bytes"] + size
    del buffer
    assert d.stats()["active_bytes"] == start["active_bytes"]
    assert d.stats()["pooled_bytes"] == size
    again = d.allocate(99_000)  # the same size class
    assert again.uid == uid
    assert d.stats()["pooled_bytes"] == 0
    assert d.stats()["total_allocations"] == start["total_allocations"] + 2
    del again
    d.empty_cache()
    assert d.stats()["pooled_bytes"] == 0


def test_peak_counts_what_was_in_use_at_once(d):
    gc.collect()
    d.reset_peak()
    base = d.stats()["active_bytes"]
    for _ in range(5):
        d.allocate(1 << 20)
    assert d.stats()["peak_bytes"] <= base + (2 << 20)
    held = [d.allocate(1 << 20) for _ in range(3)]
    assert d.stats()["peak_bytes"] == base + (3 << 20)
    del held


def test_the_pool_releases_the_longest_unused_first(d, monkeypatch):
    d.empty_cache()
    monkeypatch.setattr(buffers, "POOL_LIMIT", 5 << 20)
    four = [d.allocate(1 << 20) for _ in range(4)]
    big = d.allocate(3 << 20)
    uids = [buffer.uid for buffer in four]
    while four:
        del four[0]  # in order
    del big
    assert d.stats()["pooled_bytes"] == 5 << 20
    left = [d.allocate(1 << 20).uid, d.allocate(1 << 20)]
    assert left[0] in uids[2:]
    assert uids[0] not in d._pool.memories and uids[1] not in d._pool.memories


def test_memory_limit_raises_and_recovers(d):
    gc.collect()
    d.empty_cache()
    active = d.stats()["active_bytes"]
    buffers.settings.limit = active + (4 << 20)
    try:
        kept = [d.allocate(1 << 20) for _ in range(4)]
        with pytest.raises(errors.OutOfMemoryError, match=r"1\.00 MiB asked for .* in use") as caught:
            d.allocate(1 << 20)
        assert "set_memory_limit" in str(caught.value)
        kept.pop()
        buffer = d.allocate(512 << 10)  # another size class: the pooled 1 MiB has to give way
        assert d.stats()["active_bytes"] + d.stats()["pooled_bytes"] <= buffers.settings.limit
        del buffer
    finally:
        buffers.settings.limit = None
    assert d.allocate(1 << 20).size == 1 << 20


def test_memory_limit_collects_reference_cycles_first(d):
    gc.collect()
    d.empty_cache()
    gc.disable()
    buffers.settings.limit = d.stats()["active_bytes"] + (2 << 20)
    try:
        cycle = [d.allocate(2 << 20)]
        cycle.append(cycle)
        del cycle
        assert d.allocate(2 << 20).size == 2 << 20
    finally:
        gc.enable()
        buffers.settings.limit = None


def test_a_buffer_over_the_adapters_limit_names_it(d):
    with pytest.raises(errors.OutOfMemoryError, match="max-buffer-size"):
        d.allocate(d.limits.max_buffer_size + 1)
    with d.override_limits(max_buffer_size=1 << 20), pytest.raises(errors.OutOfMemoryError, match="1048576"):
        d.allocate((1 << 20) + 1)


def test_out_of_memory_of_the_driver_is_retried_then_raised(d, monkeypatch):
    calls = []
    monkeypatch.setattr(d._pool, "_create", lambda size: calls.append(size))
    d.empty_cache()
    with pytest.raises(errors.OutOfMemoryError):
        d.allocate(12_345)
    assert len(calls) == 2


# Batches


def test_work_is_ordered_within_a_batch(both, held):
    x, y = both.upload(np.ones(64, np.uint32)), both.upload(np.zeros(64, np.uint32))
    for _ in range(200):
        step(both, x, y, 64, 1)
        step(both, y, x, 64, 0)  # x = y
    expected_x, expected_y = 1, 0
    for _ in range(200):
        expected_y = (expected_y + expected_x) % 2**32
        expected_x = expected_y
    assert both.commands_pending == 400
    assert read(both, y, 64).tolist() == [expected_y] * 64
    assert not both.commands_pending


def test_flush_at_the_threshold(d, monkeypatch):
    monkeypatch.setattr(submit.settings, "delay", 0)
    monkeypatch.setattr(submit.settings, "threshold", 5)
    d.sync()
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    before = d.stats()["submits"]
    pending = []
    for _ in range(11):
        step(d, x, y, 64, 1)
        pending.append(d.commands_pending)
    assert pending == [1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert d.stats()["submits"] == before + 2
    assert read(d, y, 1)[0] == 11


def test_flush_by_age_at_the_next_record(d, monkeypatch):
    monkeypatch.setattr(submit.settings, "delay", 0.02)
    d.sync()
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    step(d, x, y, 64, 1)
    assert d.commands_pending == 1
    time.sleep(0.03)
    assert d.commands_pending == 1
    step(d, x, y, 64, 1)
    assert d.commands_pending == 0


def test_disabled_batching_submits_each_command(d, monkeypatch):
    monkeypatch.setattr(submit.settings, "enabled", False)
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    before = d.stats()["submits"]
    for _ in range(3):
        step(d, x, y, 64, 1)
        assert not d.commands_pending
    assert d.stats()["submits"] == before + 3
    assert read(d, y, 1)[0] == 3


def test_more_parameters_than_a_batch_holds(both, held, monkeypatch):
    monkeypatch.setattr(submit, "RING_SIZE", 2048)
    x, y = both.upload(np.ones(64, np.uint32)), both.upload(np.zeros(64, np.uint32))
    before = both.stats()["submits"]
    expected = 0
    for i in range(300):
        step(both, x, y, 64, i)
        expected = (expected * i + 1) % 2**32
    assert both.stats()["submits"] > before + 1
    assert read(both, y, 64).tolist() == [expected] * 64


def test_the_real_parameter_space_overflows_too(d, held):
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    rounds = submit.RING_SIZE // max(16, d.limits.uniform_offset_alignment) + 10
    for _ in range(rounds):
        step(d, x, y, 64, 1)
    assert 0 < d.commands_pending < rounds
    assert read(d, y, 64).tolist() == [rounds] * 64


@pytest.mark.parametrize("size", [16, 300, 1024, 5000, 16384])
def test_parameter_blocks_of_all_sizes(both, size):
    count = size // 16
    source = f"""
        @group(0) @binding(0) var<uniform> p: array<vec4<u32>, {count}>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(1) fn main() {{
            y[0] = p[0].x;
            y[1] = p[{count - 1}].w;
        }}"""
    if size > both.limits.max_uniform_size:
        pytest.skip("the adapter has smaller uniform blocks")
    pipeline = both.pipeline(source, "parameters", 0, 1, count * 16)
    targets = [both.allocate(8) for _ in range(40)]
    for i, target in enumerate(targets):
        values = np.arange(i, i + count * 4, dtype=np.uint32)
        both.dispatch(pipeline, [(target, 0, 8)], values.tobytes(), 1)
    for i, target in enumerate(targets):
        assert read(both, target, 2).tolist() == [i, i + count * 4 - 1]


@pytest.mark.parametrize("size", [16, 64, 128])
def test_immediates_of_all_sizes(both, size):
    """Each dispatch carries its own, whatever ran before with fewer or none; as many as the shader declares are set."""
    if not both.limits.max_immediates:
        pytest.skip("the adapter has no immediates")
    count = size // 16
    source = f"""
        var<immediate> p: array<vec4<u32>, {count}>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(1) fn main() {{
            y[0] = p[0].x;
            y[1] = p[{count - 1}].w;
        }}"""
    pipeline = both.pipeline(source, "immediates", 0, 1, size)
    other = both.pipeline(NUMBER, "number", 0, 1, 16)
    targets = [both.allocate(8) for _ in range(40)]
    for i, target in enumerate(targets):
        both.dispatch(other, [(target, 0, 8)], np.array([2, i, 0, 0], np.uint32).tobytes(), 2)
        values = np.arange(i, i + count * 4, dtype=np.uint32)
        both.dispatch(pipeline, [(target, 0, 8)], values.tobytes(), 1)
    for i, target in enumerate(targets):
        assert read(both, target, 2).tolist() == [i, i + count * 4 - 1]
    too_large = source.replace(f"vec4<u32>, {count}>", "vec4<u32>, 64>").replace("var<immediate>", "var < immediate >")
    with pytest.raises(errors.DeviceError, match="bytes of immediates"):
        both.pipeline(too_large, "too many", 0, 1, 16 * 1024)


@pytest.mark.parametrize("without", [(), ("immediates",)])
def test_kernels_have_their_parameters_either_way(d, without):
    """Few of them travel in the command, many (here the strides of three views) and those of some adapters in a buffer."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6, 7)).astype(np.float32)
    orders = [(5, 3, 1, 0, 2, 4), (1, 0, 3, 2, 5, 4), (2, 4, 0, 5, 1, 3)]
    expected = sum(x.transpose(order).reshape(-1).astype(np.float64) for order in orders)
    with d.override_limits(without=without):
        tensors = [webtorch.tensor(x, device="webgpu").permute(*order) for order in orders]
        with webtorch.debug.kernels() as ran:
            few = (tensors[0] + 2.5).sum((0, 1, 2, 3, 4, 5))
            many = sum(tensor.flatten() for tensor in tensors)
            np.testing.assert_allclose(many.numpy(), expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(few.item(), x.sum(dtype=np.float64) + 2.5 * x.size, rtol=1e-5)
        immediate = any("var<immediate>" in kernel.wgsl for kernel in ran)
        assert immediate == (not without and d.limits.max_immediates > 0)
        assert any("var<uniform>" in kernel.wgsl for kernel in ran)


def test_parameters_too_large(d):
    with pytest.raises(errors.DeviceError, match="storage buffer"):
        d.pipeline(STEP, "step", 1, 1, 1 << 20)
    pipeline = d.pipeline(NUMBER, "number", 0, 1, 16)
    with pytest.raises(errors.DeviceError, match="17 bytes of parameters"):
        d.dispatch(pipeline, [(d.allocate(4), 0, 4)], bytes(17), 1)


def test_copy_is_ordered_with_dispatches(both, held):
    x, y = both.upload(np.full(100, 3, np.uint32)), both.upload(np.zeros(100, np.uint32))
    snapshots = []
    for _ in range(5):
        step(both, x, y, 100, 1)
        snapshots.append(both.allocate(400))
        both.copy(y, snapshots[-1], 400)
    assert both.commands_pending == 10
    assert [read(both, s, 100).tolist() for s in snapshots] == [[3 * n] * 100 for n in range(1, 6)]


def test_copy_of_odd_lengths_and_onto_itself(d):
    source = d.upload(bytes(range(10)))
    target = d.upload(bytes(10))
    d.copy(source, target, 7)
    assert d.read(target, 7).tolist() == list(range(7))
    d.copy(source, source, 10)
    d.copy(source, target, 0)
    with pytest.raises(errors.DeviceError, match="copy of 300 bytes"):
        d.copy(source, target, 300)


@pytest.mark.parametrize("nbytes", [256, 1 << 18])
def test_upload_into_recycled_memory_that_the_batch_still_reads(both, held, nbytes):
    count = nbytes // 4
    y = both.upload(np.zeros(count, np.uint32))
    both.sync()
    both.empty_cache()
    expected = 0
    for i in range(1, 20):
        x = both.upload(np.full(count, i, np.uint32))  # memory of the earlier x, unless that is still needed
        step(both, x, y, count, 3)
        del x
        expected = (expected * 3 + i) % 2**32
    assert np.array_equal(read(both, y, count), np.full(count, expected, np.uint32))


def test_upload_into_recycled_memory_that_a_copy_still_reads(d, held):
    targets = []
    for i in range(10):
        x = d.upload(np.full(64, i, np.uint32))
        targets.append(d.allocate(256))
        d.copy(x, targets[-1], 256)
        del x
    assert [read(d, t, 64).tolist() for t in targets] == [[i] * 64 for i in range(10)]


def test_released_memory_may_still_be_recorded(both, held):
    y = both.upload(np.zeros(4096, np.uint32))
    for i in range(20):
        x = both.upload(np.full(4096, i, np.uint32))
        step(both, x, y, 4096, 1)
        del x
        both.empty_cache()
    assert read(both, y, 4096).tolist() == [sum(range(20))] * 4096


def test_outputs_recycled_within_a_batch(both, held):
    x = both.upload(np.arange(64, dtype=np.uint32))
    kept = []
    for _ in range(30):
        first = both.allocate(256)
        both.copy(x, first, 256)
        second = both.upload(np.zeros(64, np.uint32))
        step(both, first, second, 64, 1)
        step(both, x, second, 64, 1)
        kept.append(second)
        del first
    for second in kept:
        assert np.array_equal(read(both, second, 64), np.arange(64) * 2)


def test_bind_groups_go_with_their_memory(d):
    d.sync()
    gc.collect()
    d.empty_cache()
    before = d.stats()["bind_groups"]
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    for _ in range(10):
        step(d, x, y, 64, 1)
    assert d.stats()["bind_groups"] == before + 1
    del x
    d.empty_cache()
    assert d.stats()["bind_groups"] == before
    assert read(d, y, 1)[0] == 10


def test_the_bind_group_cache_is_bounded(both, monkeypatch):
    monkeypatch.setattr(submit, "BIND_GROUP_LIMIT", 16)
    both._submitter.forget_all()
    x = both.upload(np.ones(64, np.uint32))
    targets = [both.upload(np.zeros(64, np.uint32)) for _ in range(50)]
    for target in targets * 2:
        step(both, x, target, 64, 1)
    assert both.stats()["bind_groups"] <= 16
    assert all(read(both, target, 1)[0] == 2 for target in targets)


# Kernels


@pytest.mark.parametrize(
    ("workgroups", "most", "grid"),
    [
        (1, 65535, (1, 1, 1)),
        (65535, 65535, (65535, 1, 1)),
        (65536, 65535, (32768, 2, 1)),
        (7, 4, (4, 2, 1)),
        (17, 4, (3, 3, 2)),
        (64, 4, (4, 4, 4)),
    ],
)
def test_fold(workgroups, most, grid):
    assert fold(workgroups, most) == grid
    with pytest.raises(errors.DeviceError, match="does not fit a grid"):
        fold(most**3 + 1, most)


def test_fold_adds_few_groups():
    rng = np.random.default_rng(1)
    for most in (3, 16, 255, 65535):
        for workgroups in rng.integers(1, min(most**3, 2**31), 500):
            x, y, z = fold(int(workgroups), most)
            assert max(x, y, z) <= most
            extra = x * y * z - workgroups
            assert 0 <= extra < z * y + z


@pytest.mark.parametrize("count", [65_535, 65_536, 200_003])
def test_grids_over_one_dimension_reach_every_workgroup(both, count):
    y = both.allocate(4 * count)
    number(both, y, count, offset=5)
    assert np.array_equal(read(both, y, count), np.arange(5, count + 5, dtype=np.uint32))


def test_grids_of_three_dimensions(both):
    with both.override_limits(max_workgroups_per_dimension=7):
        for count in (7, 8, 49, 50, 343):
            y = both.upload(np.zeros(count, np.uint32))
            number(both, y, count, offset=1)
            assert read(both, y, count).tolist() == list(range(1, count + 1))


def test_no_workgroups_is_nothing(d):
    y = d.upload(np.full(4, 7, np.uint32))
    pipeline = d.pipeline(NUMBER, "number", 0, 1, 16)
    before = d.stats()["dispatches"]
    d.dispatch(pipeline, [(y, 0, 16)], bytes(16), 0)
    assert d.stats()["dispatches"] == before
    with pytest.raises(errors.DeviceError, match="-1 workgroups"):
        d.dispatch(pipeline, [(y, 0, 16)], bytes(16), -1)


def test_bindings_at_an_offset(both):
    alignment = both.limits.storage_offset_alignment
    y = both.upload(np.zeros(1024, np.uint32))
    pipeline = both.pipeline(NUMBER, "number", 0, 1, 16)
    both.dispatch(pipeline, [(y, alignment, 40)], words(10, 100, 0, 0), 10)
    expected = np.zeros(1024, np.uint32)
    expected[alignment // 4 : alignment // 4 + 10] = np.arange(100, 110)
    assert np.array_equal(read(both, y, 1024), expected)


def test_bad_bindings_are_refused_before_wgpu_sees_them(both):
    pipeline = both.pipeline(STEP, "step", 1, 1, 16)
    x, y = both.upload(np.zeros(64, np.uint32)), both.upload(np.zeros(64, np.uint32))
    bad = [
        ([(x, 0, 0), (y, 0, 256)], "empty tensor"),
        ([(x, 0, 256)], "1 bindings for 1 reads and 1 writes"),
        ([(x, 4, 252), (y, 0, 256)], "multiple of"),
        ([(x, 0, 255), (y, 0, 256)], "multiple of 4"),
        ([(x, 0, 512), (y, 0, 256)], "of a buffer of 256"),
        ([(x, 0, 256), (x, 0, 256)], "WebGPU forbids"),
        ([(x, 0, both.limits.max_binding_size + 256), (y, 0, 256)], "in pieces"),
    ]
    for bindings, message in bad:
        with pytest.raises(errors.DeviceError, match=message):
            both.dispatch(pipeline, bindings, bytes(16), 1)
    step(both, x, y, 64, 1)
    assert read(both, y, 64).tolist() == [0] * 64


def test_lower_limits_are_believed_then_forgotten(d):
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    step(d, x, y, 64, 1)
    with d.override_limits(max_binding_size=128, max_storage_buffers=2) as limits:
        assert (d.limits, limits.max_binding_size) == (limits, 128)
        with pytest.raises(errors.DeviceError, match="at most 128"):
            step(d, x, y, 64, 1)
        step(d, x, y, 32, 1)
        with pytest.raises(errors.DeviceError, match="allows 2"):
            d.pipeline("// three\n" + STEP, "three", 2, 1, 16)
    step(d, x, y, 64, 1)
    assert read(d, y, 64).tolist() == [3] * 32 + [2] * 32
    with pytest.raises(ValueError, match="max_binding_size"), d.override_limits(max_binding_size=1 << 60):
        pass


def test_pipelines_are_compiled_once(d):
    source = "// once\n" + STEP
    before = d.stats()["compiled"]
    pipelines = {id(d.pipeline(source, "step", 1, 1, 16)) for _ in range(3)}
    assert len(pipelines) == 1
    assert d.stats()["compiled"] == before + 1


def test_the_pipeline_cache_is_bounded(d, monkeypatch):
    monkeypatch.setattr("webtorch.backends.wgpu.pipelines.PIPELINE_LIMIT", len(d._pipelines) + 2)
    y = d.upload(np.zeros(4, np.uint32))
    kept = d.pipeline("// 0\n" + NUMBER, "number", 0, 1, 16)
    for i in range(5):
        d.pipeline(f"// {i}\n" + NUMBER, "number", 0, 1, 16)
    assert d.stats()["pipelines"] == len(d._pipelines) <= submit_limit()
    d.dispatch(kept, [(y, 0, 16)], words(4, 0, 0, 0), 4)
    assert read(d, y, 4).tolist() == [0, 1, 2, 3]


def submit_limit():
    from webtorch.backends.wgpu import pipelines

    return pipelines.PIPELINE_LIMIT


def test_compile_errors_show_the_place_and_are_remembered(d, capfd):
    source = STEP.replace("y[i] * parameters.y", "y[i] * parameters.q")
    compiled = d.stats()["compiled"]
    for _ in range(2):
        with pytest.raises(errors.ShaderCompileError) as caught:
            d.pipeline(source, "bad step", 1, 1, 16)
        message = str(caught.value)
        assert "bad step" in message
        assert caught.value.source == source
        line = next(n for n, text in enumerate(source.splitlines(), start=1) if "parameters.q" in text)
        assert f">{line:3d} | " in message
    assert d.stats()["compiled"] == compiled
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("not a shader", "main"),
        (STEP, "nothing"),
        (STEP.replace("const SIZE = 64u", "const SIZE = 1000000u"), "main"),
        (STEP.replace("@binding(2)", "@binding(9)"), "main"),
    ],
    ids=["syntax", "entry", "size", "binding"],
)
def test_every_way_not_to_compile(d, source, entry):
    with pytest.raises(errors.ShaderCompileError, match="does not compile"):
        d.pipeline(source, "bad", 1, 1, 16, entry)
    y = d.allocate(16)
    number(d, y, 4)
    assert read(d, y, 4).tolist() == [0, 1, 2, 3]


def test_an_error_of_the_batch_is_raised_and_the_next_batch_works(both, held):
    """A kernel whose uniform block is larger than declared is only found out when the encoder finishes."""
    source = """
        @group(0) @binding(0) var<uniform> p: array<vec4<u32>, 100>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(1) fn main() { y[0] = p[99].x; }"""
    pipeline = both.pipeline(source, "too large", 0, 1, 16)
    y = both.allocate(16)
    both.dispatch(pipeline, [(y, 0, 16)], bytes(16), 1)
    with pytest.raises(errors.DeviceError, match="too large"):
        both.flush()
    number(both, y, 4, 2)
    assert read(both, y, 4).tolist() == [2, 3, 4, 5]


def test_an_interrupt_before_the_submit_loses_nothing(d, held, monkeypatch):
    x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
    step(d, x, y, 64, 1)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(d._submitter.queue, "write_buffer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            d.flush()
    assert read(d, y, 1)[0] == 1


def test_a_lost_device_is_recognised():
    """In a process of its own: the device is destroyed under webtorch's feet, then replaced."""
    result = run_python(
        """
        import numpy as np
        from webtorch import errors
        from webtorch.backends.wgpu import get_device, reset_device
        d = get_device()
        buffer = d.upload(np.arange(4, dtype=np.uint32))
        d.gpu.destroy()
        for call in (lambda: d.upload(bytes(4)), lambda: d.copy(buffer, d.upload(bytes(4)), 4), get_device):
            try:
                call()
            except errors.DeviceLostError as error:
                assert "reset_device" in str(error), error
            else:
                raise AssertionError("nothing raised")
        reset_device()
        fresh = get_device()
        assert fresh is not d
        assert fresh.read(fresh.upload(bytes([1, 2, 3])), 3).tolist() == [1, 2, 3]
        """
    )
    assert result.returncode == 0, result.stderr


# Threads and processes


def test_threads(d):
    failures = []

    def work(seed):
        try:
            rng = np.random.default_rng(seed)
            for _ in range(40):
                count = int(rng.integers(1, 3000))
                values = rng.integers(0, 2**32, count, np.uint32)
                x, y = d.upload(values), d.upload(np.zeros(count, np.uint32))
                for _ in range(int(rng.integers(1, 5))):
                    step(d, x, y, count, 2)
                copied = d.allocate(4 * count)
                d.copy(y, copied, 4 * count)
                del y
                got = read(d, copied, count)
                if not any(np.array_equal(got, values * np.uint32(k)) for k in (1, 3, 7, 15)):
                    raise AssertionError(f"wrong values in thread {seed}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_finalizer_may_run_while_the_lock_is_held(d):
    buffer = d.allocate(256)
    cycle = [buffer]
    cycle.append(cycle)
    del buffer, cycle
    done = threading.Event()

    def collect():
        gc.collect()
        done.set()

    with d._lock:
        thread = threading.Thread(target=collect)
        thread.start()
        assert done.wait(10)
    thread.join()


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        env={**os.environ, **environment},
    )


def test_one_device_for_all_threads():
    result = run_python(
        """
        import threading
        from webtorch.backends.wgpu import get_device
        found = []
        threads = [threading.Thread(target=lambda: found.append(get_device())) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert len(found) == 8 and len(set(map(id, found))) == 1
        """
    )
    assert (result.returncode, result.stderr) == (0, "")


END_STATES = {
    "unused": "",
    "pending": "step()",
    "submitted": "step(); d.flush()",
    "read": "step(); d.read(y, 4)",
    "exception": "step(); raise SystemExit(3)",
    "cycle": "x.__class__; c = [x, y, d]; c.append(c); del x, y; step",
    "thread": "import threading; t = threading.Thread(target=lambda: [step() for _ in range(500)]); t.start()",
    "daemon": (
        "import threading\n"
        "def forever():\n"
        "    while True: step()\n"
        "threading.Thread(target=forever, daemon=True).start()"
    ),
}


@pytest.mark.parametrize("state", END_STATES)
def test_a_process_ends_quietly(state):
    setup = f"""
import numpy as np
from webtorch.backends.wgpu import get_device
d = get_device()
p = d.pipeline({STEP!r}, "step", 1, 1, 16)
x, y = d.upload(np.ones(64, np.uint32)), d.upload(np.zeros(64, np.uint32))
def step():
    d.dispatch(p, [(x, 0, 256), (y, 0, 256)], np.array([64, 1, 0, 0], np.uint32).tobytes(), 1)
"""
    result = run_python(setup + END_STATES[state])
    assert (result.returncode, result.stderr) == (3 if state == "exception" else 0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_is_told_at_once():
    result = run_python(
        """
        import gc, multiprocessing, os, time
        import numpy as np
        from webtorch.backends.wgpu import get_device
        from webtorch.errors import DeviceError

        def work():
            global buffer, d, pipeline
            start = time.monotonic()
            told = 0
            for call in (get_device, d.sync, lambda: d.read(buffer, 4), lambda: d.upload(bytes(4)),
                         lambda: d.allocate(4), d.flush, d.stats, d.empty_cache,
                         lambda: d.pipeline("", "", 0, 1, 16)):
                try:
                    call()
                except DeviceError as error:
                    told += "spawn" in str(error)
            del buffer, d, pipeline
            gc.collect()
            # The child leaves by os._exit, as all children of multiprocessing do.
            raise SystemExit(17 if told == 9 and time.monotonic() - start < 1 else told)

        d = get_device()
        buffer = d.upload(np.arange(4, dtype=np.uint32))
        pipeline = d.pipeline("@compute @workgroup_size(1) fn main() {}", "nothing", 0, 1, 16)
        d.dispatch(pipeline, [(d.allocate(4), 0, 4)], b"", 1)  # an open batch
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(10)
        if child.is_alive():
            child.kill()
            raise SystemExit("the child hangs")
        assert child.exitcode == 17, child.exitcode
        assert d.read(buffer, 16).view(np.uint32).tolist() == [0, 1, 2, 3]
        """
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_before_the_first_use_has_a_device_of_its_own():
    result = run_python(
        """
        import os, sys
        from webtorch.backends.wgpu import find_adapters, get_device
        child = os.fork()
        if child == 0:
            d = get_device()
            os._exit(17 if d.read(d.upload(bytes([5])), 1)[0] == 5 else 18)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        d = get_device()
        assert d.read(d.upload(bytes([5])), 1)[0] == 5
        """
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_importing_touches_no_gpu():
    result = run_python(
        """
        import sys
        import webtorch.backends.wgpu, webtorch.devices, webtorch.webgpu
        assert "wgpu" not in sys.modules
        """
    )
    assert (result.returncode, result.stderr) == (0, "")
