"""What every test and every docstring example starts from, whichever folder it lies in."""

import os

import pytest

# A test that wants a device names it. The rest, docstring examples above all, runs on the cpu, so that what it prints
# does not depend on the machine.
os.environ.setdefault("WEBTORCH_DEVICE", "cpu")


@pytest.fixture(autouse=True)
def _names_for_docstrings(doctest_namespace):
    import builtins

    import numpy

    import webtorch

    doctest_namespace["np"] = numpy
    doctest_namespace["webtorch"] = webtorch
    # Rows document themselves as members of webtorch, where these names are dtypes; in an example they are Python's.
    for name in ("bool", "float", "int"):
        doctest_namespace[name] = getattr(builtins, name)
