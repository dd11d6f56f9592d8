"""Copying from nearby code: a cache language model over tokens, and a ranker of whole lines."""
