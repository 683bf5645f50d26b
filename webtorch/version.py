"""The version of webtorch, in the one place where the package and its build both read it."""

__version__ = "0.1.0"
