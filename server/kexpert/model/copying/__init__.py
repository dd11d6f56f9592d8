"""Copying from nearby code: a cache language model and a ranker of whole lines."""
