"""A program: have Tint, the WGSL compiler of Chrome, read every .wgsl file in a folder; says what it refuses.

    python tests/check_shaders.py FOLDER [--at-least COUNT] [--every SHADERS]

With --every it is also wrong if no file was made from one of the kernels in the folder SHADERS. Needs the package
dawn-python. Uses Dawn's null backend, so no GPU driver is needed.
"""

import argparse
import os
import pathlib
import re
import sys


def standard(source: str) -> str:
    """The text as the standard wants it: subgroups are asked for. wgpu's compiler has them, but does not know how to be asked.
    Nor does the standard have arrays of immediates, which take the same words as a uniform block."""
    source = source.replace("var<immediate>", "@group(0) @binding(0) var<uniform>")
    source = source.replace("var < immediate >", "@ group ( 0 ) @ binding ( 0 ) var < uniform >")
    return ("enable subgroups;\n" if re.search(r"\bsubgroup[A-Z]\w*\(|subgroup_invocation_id", source) else "") + source


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--at-least", type=int, default=1)
    parser.add_argument("--every", type=pathlib.Path)
    options = parser.parse_args()
    os.environ["BACKEND_TYPE"] = "Null"
    from pydawn import utils, webgpu

    utils.supported_backends["Null"] = webgpu.WGPUBackendType_Null
    adapter = utils.request_adapter_sync(webgpu.WGPUPowerPreference_HighPerformance)
    device = utils.request_device_sync(adapter, [webgpu.WGPUFeatureName_Subgroups])
    try:
        utils.create_shader_module(device, "fn f() -> f32 { return 1u; }")
    except RuntimeError:
        pass
    else:
        sys.exit("Tint accepts what is wrong: nothing was checked")
    files = sorted(options.folder.glob("*.wgsl"))
    refused: dict[str, list[pathlib.Path]] = {}
    missing: set[str] = set()
    if options.every:
        missing = {file.stem for file in options.every.glob("*.wgsl") if "@compute" in file.read_text()}
    for file in files:
        source = file.read_text()
        missing -= set(re.findall(r"^// Generated from shaders/(\w+)\.wgsl", source, re.MULTILINE))
        try:
            module = utils.create_shader_module(device, standard(source))
            webgpu.wgpuShaderModuleRelease(module)
        except RuntimeError as error:
            what = next((line for line in str(error).splitlines() if "error:" in line), str(error))
            refused.setdefault(what.split("error:")[-1].strip(), []).append(file)
    for what, where in refused.items():
        print(f"{what}\n  {len(where)} files, {where[0]} among them")
    kinds = {kind: sum(f".{kind}." in file.name for file in files) for kind in ("kernel", "library", "reproducible")}
    print(f"{len(files)} shaders read ({kinds}), {sum(map(len, refused.values()))} refused")
    if missing:
        print(f"nothing was made from {', '.join(sorted(missing))}")
    return 1 if refused or missing or len(files) < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
