"""What the documents at the top of the repository say is so: links, file names, switches, dtypes, the claim of fusion."""

import contextlib
import io
import pathlib
import re

import pytest

import webtorch
from webtorch import debug

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/data/README.md")
SOURCES = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "webtorch").rglob("*.py")))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths_lead_somewhere(name):
    path = ROOT / name
    text = path.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert not [link for link in links if not (path.parent / link).exists()]
    files = re.findall(r"(?:`|python )((?:webtorch|shaders|tests|examples|bench)/[\w./]*)", text)
    assert not [file for file in files if not (ROOT / file).exists()]


def test_switches_are_those_that_are_read():
    named = set(re.findall(r"WEBTORCH_[A-Z_]+", (ROOT / "README.md").read_text("utf-8")))
    read = set(re.findall(r'environ(?:\.get\(|\[)"(WEBTORCH_[A-Z_]+)"', SOURCES))
    assert {"WEBTORCH_DEBUG", "WEBTORCH_DEVICE"} <= read
    assert named == read


def test_dtypes_are_those_that_exist():
    text = (ROOT / "README.md").read_text("utf-8")
    listed = re.search(r"The dtypes are (.*?)\.", text, re.DOTALL)[1]
    names = set(re.split(r",\s+|\s+and\s+", listed))
    assert names == {value.name for value in vars(webtorch).values() if isinstance(value, webtorch.dtype)}


@pytest.mark.gpu
def test_the_kernel_of_the_readme_is_one_kernel():
    (block,) = [
        b
        for b in re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
        if "debug" in b
    ]
    printed = io.StringIO()
    names = {"webtorch": webtorch}
    with contextlib.redirect_stdout(printed), debug.kernels() as ran:
        exec(block, names)
    assert printed.getvalue().count("@compute") == 1 and "kernel 1 of 1" in printed.getvalue()
    assert all("random" in record.name for record in ran)  # nothing is computed to be looked at
    result = webtorch.relu(names["a"] * names["b"] + names["c"]) * webtorch.sigmoid(names["a"])
    with debug.kernels() as ran:
        result.numpy()
    assert len(ran) == 1
