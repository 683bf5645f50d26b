"""The types that are looked up are those that cffi parses."""

import os
import subprocess
import sys
import textwrap

import pytest

NAMES = """
WGPUInstanceDescriptor * | WGPUAdapter[] | WGPUChainedStruct * | WGPULimits | char [] | char * | uint32_t[1] | uint8_t * | uintptr_t
WGPUFeatureName[] | WGPUBindGroupEntry[3] | void * | WGPUStringView
void(WGPUDevice const *, WGPUErrorType, WGPUStringView, void *, void *)
void(WGPUMapAsyncStatus, WGPUStringView, void *, void *) | WGPUBufferDescriptor const * | int | double | float *
"""


@pytest.mark.gpu
def test_types_are_those_that_are_parsed():
    program = f"""
        from wgpu.backends.wgpu_native import ffi
        from webtorch.backends.wgpu import quick_types
        names = {[name.strip() for name in NAMES.replace(chr(10), "|").split("|") if name.strip()]!r}
        parse = ffi._parser.parse_type_and_quals
        calls = []
        ffi._parser.parse_type_and_quals = lambda name: (calls.append(name), parse(name))[1]
        assert quick_types.install(ffi)
        quick = [ffi._parser.parse_type_and_quals(name) for name in names]
        assert not calls, calls
        for name, found in zip(names, quick):
            wanted = parse(name)
            with ffi._lock:
                pairs = [kind.as_function_pointer() if hasattr(kind, "as_function_pointer") else kind
                         for kind in (found[0], wanted[0])]
                same = ffi._get_cached_btype(pairs[0]) is ffi._get_cached_btype(pairs[1])
            assert same and found[1] == wanted[1], (name, found, wanted)
        for other in ("WGPUBufferDescriptor **", "unsigned int *", "int (*)(int)", "struct WGPUBufferDescriptor *"):
            try:
                parse(other)
            except Exception as error:
                try:
                    ffi._parser.parse_type_and_quals(other)
                except type(error):
                    continue
                raise AssertionError(other)
            assert str(ffi._parser.parse_type_and_quals(other)) == str(parse(other)), other
        assert not quick_types.install(object())
        print("same", len(names))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=120,
    )
    assert run.returncode == 0 and run.stdout.startswith("same"), run.stderr[-2000:]
