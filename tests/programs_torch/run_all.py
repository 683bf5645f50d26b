"""Run programs of this folder, in one process, and print what each one reports: one line of JSON per program."""

import contextlib
import io
import json
import pathlib
import runpy
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent


def main():
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.py") if path.stem not in ("seeded", "run_all"))
    for name in names:
        printed, begin = io.StringIO(), time.perf_counter()
        try:
            with contextlib.redirect_stdout(printed):
                runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")
            result = {"reported": json.loads(printed.getvalue().strip().splitlines()[-1])}
        except Exception:
            result = {"error": traceback.format_exc()}
        print(json.dumps({"program": name, "seconds": round(time.perf_counter() - begin, 2), **result}), flush=True)


if __name__ == "__main__":
    main()
