"""A process for each contender: it takes orders as lines of JSON and answers each with one. README.md has the set-up."""
