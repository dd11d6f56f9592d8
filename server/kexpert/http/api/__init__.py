"""Answers of the API as JSON: a function an endpoint, (tree, arguments, cancelled) -> JSON, run on a thread."""
