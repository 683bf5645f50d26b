"""The profiler under PyTorch's older name; see `webtorch.profiler`."""

from __future__ import annotations

from ..profiler import (
    EventList,
    FunctionEvent,
    FunctionEventAvg,
    Interval,
    ProfilerActivity,
    emit_nvtx,
    profile,
    record_function,
)

ProfilerContext = profile
ProfilerKeyAverages = EventList
EmitNvtxContext = emit_nvtx

__all__ = [
    "EmitNvtxContext",
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "Interval",
    "ProfilerActivity",
    "ProfilerContext",
    "ProfilerKeyAverages",
    "emit_nvtx",
    "profile",
    "record_function",
]
