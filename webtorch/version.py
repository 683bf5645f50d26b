"""The version of webtorch, in the one place where the package and its build both read it."""

__version__ = "0.2.0"

# What PyTorch says of how it was built.
cuda = hip = git_version = None
debug = False
