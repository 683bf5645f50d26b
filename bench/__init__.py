"""Speed, measured side by side: `python -m bench [name ...]` from the root of the repository."""
