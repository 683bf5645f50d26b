"""Compute pipelines, cached by source text, and the few layouts they share.

Every kernel has the same form: its parameters, then the read-only storage buffers from binding 1 on, then the writable
ones. Parameters are immediates, which travel in the dispatch itself, where the source declares them so; else binding 0 is a
uniform block with a dynamic offset. So there is one layout per (reads, writes, size class of the parameters), and a bind
group made for one kernel serves every other of the same form.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Any

from webtorch.errors import DeviceError, ShaderCompileError

PARAMS_CLASSES = (256, 1024, 4096, 16384)
"""Sizes that the parameter binding can have; the smallest that fits is taken."""

PIPELINE_LIMIT = 4096
"""Pipelines kept, the longest unused is dropped first. Compile errors are kept too, so that a bad kernel fails fast."""


MOST_IMMEDIATES = 256
"""Bytes of immediates that are used where an adapter has more; few kernels have as many parameters."""


_IMMEDIATE = re.compile(r"\bvar\s*<\s*immediate\b")


class Layout:
    """The bind group layout and pipeline layout of all kernels of one form. ``params_size`` is that of the uniform block, 0
    where the parameters are immediates."""

    __slots__ = ("bind_group_layout", "params_size", "pipeline_layout", "reads", "scratch", "uid", "writes")

    def __init__(self, uid: int, reads: int, writes: int, params_size: int, groups: Any, pipelines: Any) -> None:
        self.uid = uid
        self.reads = reads
        self.writes = writes
        self.params_size = params_size
        self.bind_group_layout = groups
        self.pipeline_layout = pipelines
        self.scratch: Any = None  # C structs that ``submit`` fills for each new bind group


class Pipeline:
    """A compiled kernel. ``params_size`` is the most bytes of parameters that a dispatch may pass."""

    __slots__ = ("gpu", "handle", "label", "layout", "params_size", "source")

    def __init__(self, gpu: Any, label: str, layout: Layout, params_size: int, source: str) -> None:
        self.gpu = gpu
        self.handle = gpu._internal
        self.label = label
        self.layout = layout
        self.params_size = params_size
        self.source = source

    def __repr__(self) -> str:
        return f"Pipeline({self.label!r}, reads={self.layout.reads}, writes={self.layout.writes})"


def numbered(source: str, cause: str, around: int = 6, most: int = 80) -> str:
    """The lines of ``source`` near those that ``cause`` names, with their numbers; the first ones if it names none.

    >>> print(numbered("a\\nb\\nc", "wgsl:2:1 something", around=1))
       1 | a
    >  2 | b
       3 | c
    """
    lines = source.splitlines()
    named = {int(line) for line in re.findall(r"wgsl:(\d+):\d+", cause)} or {
        int(line) for line in re.findall(r"^\s*(\d+) [│|]", cause, re.MULTILINE)
    }
    chosen = [n for n in range(1, len(lines) + 1) if any(abs(n - line) <= around for line in named)]
    chosen = chosen or list(range(1, len(lines) + 1))
    left_out = len(chosen) - most
    shown = [f"{'>' if n in named else ' '}{n:3d} | {lines[n - 1]}".rstrip() for n in chosen[:most]]
    if left_out > 0:
        shown.append(f"     ... {left_out} more lines")
    return "\n".join(shown)


class PipelineCache:
    """Makes pipelines and remembers them. Has its own lock, so that compiling does not stop other threads' work."""

    def __init__(self, device: Any, max_uniform_size: int, immediates: int) -> None:
        self._device = device
        self._lock = threading.RLock()
        self._pipelines: OrderedDict[tuple, Pipeline | str] = OrderedDict()
        self._layouts: dict[tuple[int, int, int], Layout] = {}
        self._params_classes = tuple(size for size in PARAMS_CLASSES if size <= max_uniform_size)
        self._immediates = immediates
        self.compiled = 0

    def __len__(self) -> int:
        return len(self._pipelines)

    def gpu_objects(self) -> list[Any]:
        """Everything of wgpu's that the cache holds."""
        held = [pipeline.gpu for pipeline in self._pipelines.values() if isinstance(pipeline, Pipeline)]
        for layout in self._layouts.values():
            held += [layout.bind_group_layout, layout.pipeline_layout]
        return held

    def get(
        self,
        source: str,
        label: str,
        reads: int,
        writes: int,
        params_size: int,
        entry: str,
        max_storage_buffers: int,
    ) -> Pipeline:
        """The pipeline of ``source``, compiled at the first call. Raises ShaderCompileError, every time."""
        key = (source, reads, writes, params_size, entry)
        with self._lock:
            found = self._pipelines.get(key)
            if found is None:
                if reads + writes > max_storage_buffers:
                    raise DeviceError(
                        f"kernel {label!r} binds {reads} + {writes} storage buffers, this adapter allows "
                        f"{max_storage_buffers}; split it"
                    )
                found = self._compile(source, label, reads, writes, params_size, entry)
                self._pipelines[key] = found
                if len(self._pipelines) > PIPELINE_LIMIT:
                    self._pipelines.popitem(last=False)
            else:
                self._pipelines.move_to_end(key)
        if isinstance(found, str):
            error = ShaderCompileError(found)
            error.source = source
            raise error
        return found

    def _compile(
        self, source: str, label: str, reads: int, writes: int, params_size: int, entry: str
    ) -> Pipeline | str:
        immediate = _IMMEDIATE.search(source) is not None
        if immediate and params_size > self._immediates:
            raise DeviceError(
                f"kernel {label!r} has {params_size} bytes of immediates, this adapter takes {self._immediates}; declare the "
                "parameters as a uniform block"
            )
        layout = self._layout(reads, writes, 0 if immediate else self._params_class(params_size, label))
        try:
            module = self._device.create_shader_module(label=label, code=source)
            gpu = self._device.create_compute_pipeline(
                label=label, layout=layout.pipeline_layout, compute={"module": module, "entry_point": entry}
            )
        except Exception as error:
            cause = str(error).strip()
            if "device is lost" in cause.lower():
                raise
            return f"kernel {label!r} does not compile.\n{cause}\n\nWGSL:\n{numbered(source, cause)}"
        self.compiled += 1
        return Pipeline(gpu, label, layout, params_size, source)

    def _params_class(self, params_size: int, label: str) -> int:
        for size in self._params_classes:
            if params_size <= size:
                return size
        raise DeviceError(
            f"kernel {label!r} has {params_size} bytes of parameters, at most {self._params_classes[-1]} fit; "
            "put them in a storage buffer"
        )

    def _layout(self, reads: int, writes: int, params_size: int) -> Layout:
        key = (reads, writes, params_size)
        layout = self._layouts.get(key)
        if layout is None:
            entries: list[dict[str, Any]] = []
            if params_size:
                uniform = {"type": "uniform", "has_dynamic_offset": True}
                entries.append({"binding": 0, "visibility": "COMPUTE", "buffer": uniform})
            for index in range(reads + writes):
                kind = "read-only-storage" if index < reads else "storage"
                entries.append({"binding": index + 1, "visibility": "COMPUTE", "buffer": {"type": kind}})
            groups = self._device.create_bind_group_layout(entries=entries)
            immediates = {} if params_size else {"immediate_size": self._immediates}
            pipelines = self._device.create_pipeline_layout(bind_group_layouts=[groups], **immediates)
            layout = Layout(len(self._layouts), reads, writes, params_size, groups, pipelines)
            self._layouts[key] = layout
        return layout
