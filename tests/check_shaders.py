"""A program: have Tint, the WGSL compiler of Chrome, read every .wgsl file in a folder; says what it refuses.

    python tests/check_shaders.py FOLDER [--at-least COUNT]

Needs the package dawn-python. Uses Dawn's null backend, so no GPU driver is needed.
"""

import argparse
import os
import pathlib
import sys


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--at-least", type=int, default=1)
    options = parser.parse_args()
    os.environ["BACKEND_TYPE"] = "Null"
    from pydawn import utils, webgpu

    utils.supported_backends["Null"] = webgpu.WGPUBackendType_Null
    device = utils.request_device_sync(utils.request_adapter_sync(webgpu.WGPUPowerPreference_HighPerformance))
    try:
        utils.create_shader_module(device, "fn f() -> f32 { return 1u; }")
    except RuntimeError:
        pass
    else:
        sys.exit("Tint accepts what is wrong: nothing was checked")
    files = sorted(options.folder.glob("*.wgsl"))
    refused: dict[str, list[pathlib.Path]] = {}
    for file in files:
        try:
            module = utils.create_shader_module(device, file.read_text())
            webgpu.wgpuShaderModuleRelease(module)
        except RuntimeError as error:
            what = next((line for line in str(error).splitlines() if "error:" in line), str(error))
            refused.setdefault(what.split("error:")[-1].strip(), []).append(file)
    for what, where in refused.items():
        print(f"{what}\n  {len(where)} files, {where[0]} among them")
    kinds = {kind: sum(f".{kind}." in file.name for file in files) for kind in ("kernel", "library", "reproducible")}
    print(f"{len(files)} shaders read ({kinds}), {sum(map(len, refused.values()))} refused")
    return 1 if refused or len(files) < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
