"""Device names, the default device, the webgpu module's settings, the doctor and the command line."""

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from webtorch import devices, errors, webgpu
from webtorch.backends.wgpu import device as backend
from webtorch.backends.wgpu import submit
from webtorch.devices import device, get_default_device, set_default_device

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def settings():
    yield
    set_default_device(None)
    webgpu.enable_batching()
    webgpu.set_batch_threshold()
    webgpu.set_batch_delay()
    webgpu.set_memory_limit(None)


def run_python(*arguments, **environment):
    """A process of its own, without this one's choice of device."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBTORCH_")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**inherited, **environment},
    )


def run_code(code, **environment):
    return run_python("-c", textwrap.dedent(code), **environment)


# An environment in which no driver can be found (on systems without Vulkan's and EGL's loaders it changes nothing).
NO_DRIVER = {"VK_DRIVER_FILES": "/nonexistent", "__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent", "DISPLAY": ""}
needs_loader = pytest.mark.skipif(sys.platform != "linux", reason="drivers can be hidden on Linux only")


# Names


@pytest.mark.parametrize("spelling", ["webgpu", "webgpu:0", device("webgpu"), device("webgpu", 0)])
def test_spellings_of_webgpu(spelling):
    found = device(spelling)
    assert (found.type, found.index) == ("webgpu", 0)
    assert found == "webgpu" and found == "webgpu:0" and found == device("webgpu", 0)
    assert found != "cpu" and found != "webgpu:1" and found != "cuda" and found != 0
    assert "webgpu" == found and "cpu" != found
    assert (str(found), repr(found)) == ("webgpu:0", "device(type='webgpu', index=0)")


@pytest.mark.parametrize("spelling", ["cpu", "cpu:0", device("cpu"), device("cpu", 0)])
def test_spellings_of_cpu(spelling):
    found = device(spelling)
    assert (found.type, found.index) == ("cpu", None)
    assert found == "cpu" and found != "webgpu" and found != device("webgpu")
    assert (str(found), repr(found)) == ("cpu", "device(type='cpu')")


def test_devices_are_values():
    assert {device("webgpu"), device("webgpu:0"), device("cpu")} == {device("cpu"), device("webgpu")}
    assert {"webgpu": 1, "cpu": 2}[device("webgpu")] == 1
    for d in (device("cpu"), device("webgpu")):
        assert copy.deepcopy(d) == d and pickle.loads(pickle.dumps(d)) == d
        with pytest.raises(AttributeError):
            d.type = "cpu"
        with pytest.raises(AttributeError):
            del d.index
    assert devices.Device is device


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cuda",), "use 'webgpu'"),
        (("cuda:0",), "use 'webgpu'"),
        (("mps",), "use 'webgpu'"),
        (("gpu",), "use 'webgpu'"),
        (("CUDA",), "use 'webgpu'"),
        (("nothing",), "the devices are 'cpu', 'meta', 'webgpu'"),
        (("",), "the devices are"),
        (("webgpu:",), "'type:number'"),
        (("webgpu:x",), "'type:number'"),
        (("webgpu:-1",), "'type:number'"),
        (("webgpu:0", 0), "'type:number'"),
        (("webgpu:1",), "WEBTORCH_ADAPTER"),
        (("cpu", 1), "one cpu device"),
        (("webgpu", "0"), "integer"),
        (("webgpu", True), "integer"),
        ((0,), "give a name"),
        ((None,), "give a name"),
        ((device("cpu"), 0), "number already"),
    ],
)
def test_wrong_names(arguments, message):
    with pytest.raises(errors.DeviceError, match=message):
        device(*arguments)


# The default


def test_default_device_in_scopes():
    set_default_device("cpu")
    with device("webgpu") as entered:
        assert entered == get_default_device() == "webgpu"
        with device("cpu"):
            assert get_default_device() == "cpu"
            with entered, entered:
                assert get_default_device() == "webgpu"
            assert get_default_device() == "cpu"
        assert get_default_device() == "webgpu"
        set_default_device("cpu")  # the scope still comes first
        assert get_default_device() == "webgpu"
    assert get_default_device() == "cpu"
    with pytest.raises(ZeroDivisionError), device("webgpu"):
        raise ZeroDivisionError
    assert get_default_device() == "cpu"


def test_a_scope_belongs_to_its_thread_and_task():
    set_default_device("cpu")
    seen = []
    with device("webgpu"):
        thread = threading.Thread(target=lambda: seen.append(get_default_device().type))
        thread.start()
        thread.join()
    assert seen == ["cpu"]

    async def inside(name, wait):
        with device(name):
            await asyncio.sleep(wait)
            return get_default_device().type

    async def both():
        return await asyncio.gather(inside("webgpu", 0.02), inside("cpu", 0.01))

    assert asyncio.run(both()) == ["webgpu", "cpu"]


def test_set_default_device_holds_in_all_threads():
    set_default_device(device("webgpu"))
    seen = []
    thread = threading.Thread(target=lambda: seen.append(get_default_device().type))
    thread.start()
    thread.join()
    assert seen == ["webgpu"]
    assert devices.default_device_reason() == (device("webgpu"), "set_default_device")
    with pytest.raises(errors.DeviceError):
        set_default_device("cuda")
    assert get_default_device() == "webgpu"


def adapter(name, kind, kind_of_backend="Vulkan"):
    return backend.Adapter(name, "driver 1", kind_of_backend, kind, None)


@pytest.fixture
def adapters(monkeypatch):
    """Sets which adapters there are."""

    def set_adapters(*found, problem=""):
        monkeypatch.setattr(backend, "_adapters", sorted(found, key=backend.Adapter.rank))
        monkeypatch.setattr(backend, "_all_adapters", True)
        monkeypatch.setattr(backend, "_adapter_problem", problem)
        monkeypatch.setattr(devices, "_automatic", None)

    monkeypatch.delenv("WEBTORCH_DEVICE", raising=False)
    monkeypatch.delenv("WEBTORCH_ADAPTER", raising=False)
    return set_adapters


SOFTWARE = adapter("llvmpipe (LLVM 15)", "CPU")
DISCRETE = adapter("Big GPU", "DiscreteGPU")
INTEGRATED = adapter("Small GPU", "IntegratedGPU")
DISCRETE_GL = adapter("Big GPU", "DiscreteGPU", "OpenGL")
UNKNOWN_GL = adapter("Some GPU", "Unknown", "OpenGLES")
DISGUISED = adapter("SwiftShader Device", "Unknown")


def test_the_order_of_adapters():
    ordered = [DISCRETE, INTEGRATED, DISCRETE_GL, UNKNOWN_GL, SOFTWARE]
    assert sorted(reversed(ordered), key=backend.Adapter.rank) == ordered
    assert DISGUISED.is_software and SOFTWARE.is_software and not UNKNOWN_GL.is_software


@pytest.mark.parametrize(
    ("found", "expected", "reason"),
    [
        ([SOFTWARE, INTEGRATED, DISCRETE], "webgpu", "Big GPU"),
        ([SOFTWARE, UNKNOWN_GL], "webgpu", "Some GPU"),
        ([SOFTWARE, DISGUISED], "cpu", "software renderer"),
        ([], "cpu", "broken driver"),
    ],
)
def test_the_automatic_default(adapters, found, expected, reason):
    adapters(*found, problem="" if found else "broken driver")
    assert get_default_device() == expected
    assert reason in devices.default_device_reason()[1]
    assert devices.is_webgpu_available() == bool(found)
    assert devices.is_cpu_only_mode() == (not found)
    assert devices.list_devices() == [device("cpu"), device("webgpu")][: 1 + bool(found)]


def test_the_environment_decides_first(adapters, monkeypatch):
    adapters(DISCRETE)
    monkeypatch.setenv("WEBTORCH_DEVICE", "cpu")
    assert get_default_device() == "cpu"
    assert devices.is_cpu_only_mode()
    adapters()
    monkeypatch.setenv("WEBTORCH_DEVICE", "webgpu")
    assert get_default_device() == "webgpu"
    adapters()
    monkeypatch.setenv("WEBTORCH_DEVICE", "cuda")
    with pytest.raises(errors.DeviceError, match="WEBTORCH_DEVICE='cuda'"):
        get_default_device()


def test_choosing_an_adapter_by_name(adapters, monkeypatch):
    adapters(DISCRETE, INTEGRATED, DISCRETE_GL, SOFTWARE)
    for text, expected in [
        ("small", INTEGRATED),
        ("opengl", DISCRETE_GL),
        ("LLVMpipe", SOFTWARE),
        ("driver", DISCRETE),
    ]:
        monkeypatch.setenv("WEBTORCH_ADAPTER", text)
        assert backend.choose_adapter()[0] is expected
    monkeypatch.setenv("WEBTORCH_ADAPTER", "llvmpipe")
    assert get_default_device() == "cpu"
    monkeypatch.setenv("WEBTORCH_ADAPTER", "absent")
    with pytest.raises(errors.DeviceUnavailableError, match=r"WEBTORCH_ADAPTER='absent'.*Big GPU"):
        devices.require_webgpu()
    assert not devices.is_webgpu_available()


@pytest.mark.parametrize(
    ("primary", "opengl", "hardware", "wanted", "asked", "chosen"),
    [
        ([INTEGRATED], [DISCRETE_GL], True, "", False, INTEGRATED),  # a hardware adapter: OpenGL has none better
        ([SOFTWARE], [UNKNOWN_GL], True, "", True, UNKNOWN_GL),
        ([SOFTWARE], [UNKNOWN_GL], False, "", False, SOFTWARE),  # no device file: what OpenGL has is software, too
        ([], [UNKNOWN_GL], False, "", True, UNKNOWN_GL),
        ([INTEGRATED], [DISCRETE_GL], False, "opengl", True, DISCRETE_GL),
    ],
)
def test_opengl_is_asked_last(adapters, monkeypatch, primary, opengl, hardware, wanted, asked, chosen):
    adapters()
    calls = []

    def enumerate_adapters(backends):
        calls.append(backends)
        return opengl if backends == ("GL",) else primary

    monkeypatch.setattr(backend, "_adapters", None)
    monkeypatch.setattr(backend, "_enumerate_adapters", enumerate_adapters)
    monkeypatch.setattr(backend, "_may_have_hardware", lambda: hardware)
    monkeypatch.setenv("WEBTORCH_ADAPTER", wanted)
    assert backend.choose_adapter()[0] is chosen
    assert backend.choose_adapter()[0] is chosen
    assert calls == [backend.PRIMARY, ("GL",)][: 1 + asked]
    assert set(backend.find_adapters(opengl=True)[0]) == {*primary, *opengl}


@pytest.mark.gpu
def test_other_users_of_wgpu_keep_their_adapters():
    """Whatever instance of wgpu was there before is used as it is, and adapters of ours are those that it has."""
    code = (
        "import wgpu\n"
        "before = [a.info['description'] for a in wgpu.gpu.enumerate_adapters_sync()]\n"
        "from webtorch.backends.wgpu import device\n"
        "found = device.find_adapters()[0]\n"
        "assert sorted(a.driver for a in found) == sorted(before), (found, before)\n"
        "assert device.find_adapters(opengl=True)[0] == found\n"
        "after = [a.info['description'] for a in wgpu.gpu.enumerate_adapters_sync()]\n"
        "assert before == after"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


def test_require_webgpu_says_what_to_install(adapters):
    adapters(problem="no driver offered an adapter")
    for require in (devices.require_webgpu, devices.requireWebGPU):
        with pytest.raises(errors.DeviceUnavailableError, match="no driver offered an adapter.*nstall|update"):
            require()
    adapters(SOFTWARE)
    assert devices.require_webgpu() == "webgpu"
    hints = {platform: backend.driver_hint(platform) for platform in ("linux", "darwin", "win32", "sunos")}
    assert len(set(hints.values())) == 4
    assert "apt install mesa-vulkan-drivers" in hints["linux"]


def test_a_failing_look_up_means_cpu(monkeypatch, adapters):
    adapters()
    monkeypatch.setattr(backend, "_adapters", None)

    def broken(backends):
        raise OSError("the driver library is broken")

    monkeypatch.setattr(backend, "_enumerate_adapters", broken)
    assert get_default_device() == "cpu"
    assert "OSError: the driver library is broken" in devices.default_device_reason()[1]


# Getting ready, waiting


def test_initialize_and_sync_cpu():
    assert devices.initialize_device("cpu") == "cpu"
    assert asyncio.run(devices.initialize_device_async("cpu")) == "cpu"
    devices.sync_device("cpu")
    with pytest.raises(errors.DeviceError, match="use 'webgpu'"):
        devices.initialize_device("cuda")
    with pytest.raises(errors.DeviceError, match="use 'webgpu'"):
        devices.sync_device("cuda")


KERNEL = """
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() { y[0] += 1u; }
"""


@pytest.fixture
def count_up():
    """A function that records one more command, which adds one to a word; and one that reads the word."""
    d = backend.get_device()
    d.sync()
    pipeline = d.pipeline(KERNEL, "count", 0, 1, 0)
    word = d.upload(np.zeros(1, np.uint32))

    def add(times=1):
        for _ in range(times):
            d.dispatch(pipeline, [(word, 0, 4)], b"", 1)

    return add, lambda: int(d.read(word, 4).view(np.uint32)[0]), d


@pytest.mark.gpu
def test_sync_device_runs_what_is_pending(count_up):
    add, value, d = count_up
    for sync in (
        devices.sync_device,
        lambda: devices.sync_device("webgpu"),
        lambda: asyncio.run(devices.sync_device_async()),
    ):
        add()
        assert d.commands_pending == 1
        sync()
        assert d.commands_pending == 0
    assert value() == 3


@pytest.mark.gpu
def test_batch_is_one_submit(count_up):
    add, value, d = count_up
    webgpu.set_batch_threshold(4)
    add()
    before = d.stats()["submits"]

    def work():
        assert d.stats()["submits"] == before + 1  # what was pending went first
        add(10)
        webgpu.batch(lambda: None)  # one inside another flushes too
        add(10)
        assert d.commands_pending == 10
        return "result"

    assert webgpu.batch(work) == "result"
    assert d.commands_pending == 0
    assert d.stats()["submits"] == before + 3
    with pytest.raises(ZeroDivisionError):
        webgpu.batch(lambda: (add(6), 1 / 0))
    assert (d.commands_pending, submit.settings.held) == (0, 0)
    assert value() == 27


@pytest.mark.gpu
def test_batching_switch_and_threshold(count_up):
    add, value, d = count_up
    webgpu.set_batch_delay(0)
    webgpu.set_batch_threshold(3)
    add(2)
    assert d.commands_pending == 2
    add()
    assert d.commands_pending == 0
    add()
    webgpu.disable_batching()
    assert (d.commands_pending, webgpu.is_batching_enabled()) == (0, False)
    before = d.stats()["submits"]
    add(2)
    assert d.stats()["submits"] == before + 2
    webgpu.enable_batching()
    add()
    assert (d.commands_pending, webgpu.is_batching_enabled()) == (1, True)
    assert value() == 7


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "64", None])
def test_wrong_thresholds(wrong):
    with pytest.raises(ValueError, match="set_batch_threshold"):
        webgpu.set_batch_threshold(wrong)


@pytest.mark.parametrize("wrong", [-1, float("nan"), True, "16", None])
def test_wrong_delays(wrong):
    with pytest.raises(ValueError, match="set_batch_delay"):
        webgpu.set_batch_delay(wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "1GB"])
def test_wrong_memory_limits(wrong):
    with pytest.raises(ValueError, match="set_memory_limit"):
        webgpu.set_memory_limit(wrong)


@pytest.mark.gpu
def test_memory_functions():
    d = backend.get_device()
    webgpu.empty_cache()
    webgpu.reset_peak_memory_stats()
    before = webgpu.memory_stats()
    assert before["pooled_bytes"] == 0
    assert before["peak_bytes"] == before["active_bytes"]
    buffer = d.allocate(3 << 20)
    during = webgpu.memory_stats()
    assert during["active_bytes"] == during["peak_bytes"] == before["active_bytes"] + (3 << 20)
    assert during["total_allocations"] == before["total_allocations"] + 1
    assert f"peak:   {during['peak_bytes'] / 1e6:.2f} MB" in webgpu.memory_summary()
    del buffer
    assert webgpu.memory_stats()["pooled_bytes"] == 3 << 20
    webgpu.set_memory_limit(before["active_bytes"] + (1 << 20))
    assert webgpu.memory_stats()["pooled_bytes"] == 0
    with pytest.raises(errors.OutOfMemoryError):
        d.allocate(3 << 20)


def test_settings_need_no_device():
    result = run_code(
        """
        import sys
        from webtorch import devices, webgpu
        webgpu.set_batch_threshold(8); webgpu.set_batch_delay(0); webgpu.disable_batching()
        webgpu.set_memory_limit(1 << 20); webgpu.empty_cache(); webgpu.reset_peak_memory_stats()
        assert set(webgpu.memory_stats().values()) == {0}
        assert webgpu.batch(lambda: 5) == 5
        devices.sync_device()
        assert "wgpu" not in sys.modules
        """
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.gpu
def test_a_software_adapter_warns_once_unless_chosen_by_name():
    code = """
        from webtorch.backends.wgpu import get_device
        d = get_device()
        get_device()
        print(d.adapter.is_software or d.adapter.is_opengl)
        """
    result = run_code(code)
    weak = result.stdout.strip() == "True"
    assert result.stderr.count("RuntimeWarning: the webgpu device is") == int(weak)
    adapter, _ = backend.choose_adapter()
    assert run_code(code, WEBTORCH_ADAPTER=adapter.name).stderr == ""


# The command line


@pytest.mark.gpu
def test_doctor_on_a_working_adapter():
    result = run_python("-m", "webtorch", "doctor")
    assert (result.returncode, result.stderr) == (0, "")
    adapter, _ = backend.choose_adapter()
    for text in ("wgpu 0.", "numpy 2.", "Default device: ", "because: ", adapter.name, adapter.backend, adapter.driver):
        assert text in result.stdout
    assert "max binding size: " in result.stdout
    assert " shader-int64" in result.stdout
    assert "Kernel: right (1,000,003 float32 values in " in result.stdout


@pytest.mark.gpu
def test_doctor_notices_a_wrong_kernel(monkeypatch, capsys):
    from webtorch import doctor

    monkeypatch.setattr(doctor, "KERNEL", doctor.KERNEL.replace("* parameters.factor", "/ parameters.factor"))
    assert doctor.run() == 1
    assert "Kernel: WRONG" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "KERNEL", "not a kernel")
    assert doctor.run() == 1
    assert "Kernel: failed" in capsys.readouterr().out


@needs_loader
def test_doctor_without_an_adapter():
    result = run_python("-m", "webtorch", "doctor", **NO_DRIVER)
    assert (result.returncode, result.stderr) == (1, "")
    assert "Default device: cpu" in result.stdout
    assert "No adapter: no driver offered an adapter" in result.stdout
    assert "apt install mesa-vulkan-drivers" in result.stdout


@needs_loader
def test_no_adapter_is_cpu_by_default_and_an_error_on_request():
    result = run_code(
        """
        from webtorch import devices, errors
        assert devices.get_default_device() == "cpu"
        assert devices.is_cpu_only_mode() and not devices.is_webgpu_available()
        for call in (devices.initialize_device, devices.require_webgpu):
            try:
                call()
            except errors.DeviceUnavailableError as error:
                assert "mesa-vulkan-drivers" in str(error)
            else:
                raise AssertionError
        """,
        **NO_DRIVER,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_command_line_names_its_commands():
    result = run_python("-m", "webtorch", "--help")
    assert result.returncode == 0 and "doctor" in result.stdout
    result = run_python("-m", "webtorch", "nothing")
    assert result.returncode == 2 and "doctor" in result.stderr
    assert run_python("-m", "webtorch").returncode == 2
    assert run_python("-m", "webtorch", "doctor", "--nothing").returncode == 2
