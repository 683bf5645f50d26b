"""Writes tests/goldens/programs_torch.json: what the programs of tests/programs_torch report under PyTorch itself.

python tests/record_programs.py
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def main():
    command = [sys.executable, str(HERE / "programs_torch" / "run_all.py")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results = {result.pop("program"): result for result in map(json.loads, output.splitlines())}
    assert not [result["error"] for result in results.values() if "error" in result]
    lines = [f"{json.dumps(name)}: {json.dumps(result['reported'])}" for name, result in sorted(results.items())]
    (HERE / "goldens" / "programs_torch.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
