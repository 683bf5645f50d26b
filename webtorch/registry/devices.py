"""Devices of users' own: anything that holds bytes and can run, or pass on, one op at a time."""

from __future__ import annotations

from typing import Any

from .. import devices, elsewhere
from ..devices import Device
from ..elsewhere import CUSTOM, Entry
from ..errors import DeviceError, did_you_mean
from .handles import DeviceHandle, check_name, lock, refuse

# What a device must have, and torch.js's spelling of it.
REQUIRED = {
    "initialize": "initialize", "create_buffer": "createBuffer", "write_buffer": "writeBuffer", "read_buffer": "readBuffer",
    "dispatch": "dispatch", "sync": "sync",
}  # fmt: skip


class Adapted:
    """A device's configuration by our names of its methods."""

    def __init__(self, config: Any, found: dict[str, Any]) -> None:
        self.config = config
        self.capabilities = getattr(config, "capabilities", None)
        self.__dict__.update(found)


class DeviceRegistry:
    """The devices that users registered, by name. There is one, `webtorch.registry.device_registry`."""

    def register(self, config: Any, name: str | None = None) -> DeviceHandle:
        name = check_name(getattr(config, "name", None) if name is None else name, "register_device")
        call = f"register_device({name!r})"
        found = {}
        for method, camel in REQUIRED.items():
            function = getattr(config, method, None) or getattr(config, camel, None)
            if not callable(function):
                refuse(
                    "invalid_config_error",
                    f"{call}: the device has no method {method}; it needs {', '.join(REQUIRED)}, see webtorch.types.DeviceConfig",
                )
            found[method] = function
        capabilities = getattr(config, "capabilities", None)
        if capabilities is not None and not hasattr(capabilities, "get"):
            refuse("invalid_config_error", f"{call}: capabilities must be a dict, not {type(capabilities).__name__}")
        with lock:
            if name in devices.DEVICE_TYPES or name.lower() in devices.OTHER_GPU_NAMES:
                refuse("registration_failed_error", f"{call}: there is a device of that name already; choose another")
            entry = CUSTOM[name] = Entry(name, Adapted(config, found))
            devices.DEVICE_TYPES.add(name)

        def take_back() -> None:
            if CUSTOM.get(name) is entry:
                del CUSTOM[name]
                devices.DEVICE_TYPES.discard(name)
                chosen = devices._chosen
                if chosen is not None and chosen.type == name:
                    devices._chosen = None

        handle = DeviceHandle(name, take_back)
        self.handles[name] = handle
        return handle

    def __init__(self) -> None:
        self.handles: dict[str, DeviceHandle] = {}

    def entry(self, name: Any, call: str) -> Entry:
        kind = name.type if isinstance(name, Device) else name
        known = CUSTOM.get(kind) if isinstance(kind, str) else None
        if known is None:
            registered = ", ".join(map(repr, CUSTOM)) or "none"
            raise DeviceError(
                f"{call}({kind!r}): no such device was registered; there are {registered}."
                + did_you_mean(str(kind), CUSTOM)
            )
        return known


device_registry = DeviceRegistry()


def register_device(config: Any, *, name: str | None = None) -> DeviceHandle:
    """Register a device: tensors with `device=NAME` then live in its memory, and every op on them is handed to it.

    `config` has a `name` and the methods of `webtorch.types.DeviceConfig`: `initialize()`, called at the first use, whose
    result `get_device_context` gives back; `create_buffer(size, usage)`; `write_buffer(buffer, data, offset)` and
    `read_buffer(buffer, size, offset)`, which move bytes; `dispatch(work)`, which runs one op (see
    `webtorch.elsewhere.DispatchConfig`; `work.compute(memory)` runs it by numpy); `sync()`. A dict `capabilities` may name
    the "dtypes" it has. Buffers with a method `destroy` are destroyed when no tensor holds them any more. Each op runs when
    it is called, in the order of the calls. Derivatives, views and printing need nothing more.

    Raises RegistryError: invalid_config_error, registration_failed_error for a name that is taken.
    """
    return device_registry.register(config, name)


def unregister_device(name: Any) -> None:
    """Take back what `register_device` did. Tensors on the device can still be read, as long as it lets itself be read, but
    nothing can be computed on it any more. Raises DeviceError when there is no such device."""
    entry = device_registry.entry(name, "unregister_device")
    device_registry.handles[entry.name].remove()


def has_device(name: Any) -> bool:
    """Whether tensors can be made on a device of that name: cpu, webgpu where there is an adapter, meta, registered ones.

    >>> import webtorch
    >>> webtorch.has_device("cpu"), webtorch.has_device("abacus")
    (True, False)
    """
    try:
        kind = Device(name).type
    except DeviceError:
        return False
    return kind != "webgpu" or devices.is_webgpu_available()


def list_custom_devices() -> list[str]:
    """The names of the devices that users registered.

    >>> import webtorch
    >>> webtorch.list_custom_devices()
    []
    """
    return list(CUSTOM)


def get_device_config(name: Any) -> Any:
    """What was given to `register_device`. Raises DeviceError when there is no such device."""
    return device_registry.entry(name, "get_device_config").config.config


def get_device_context(name: Any) -> Any:
    """What a registered device's `initialize` gave; it is called now if it was not yet. Raises DeviceError when there is no
    such device."""
    entry = device_registry.entry(name, "get_device_context")
    entry.ready()
    return entry.context


def validateDevice(device: Any) -> Device:
    """The device that a name, or a device, means. Raises DeviceError (code device_error_requires) when there is none.

    >>> import webtorch
    >>> webtorch.validateDevice("webgpu:0")
    device(type='webgpu', index=0)
    """
    try:
        return Device(device)
    except DeviceError as error:
        raise DeviceError(f"validateDevice({device!r}): {error}", code="device_error_requires") from None


def initialize(name: str) -> None:
    """Get a registered device ready, for `webtorch.initialize_device`."""
    elsewhere.entry_of(Device(name)).ready()
