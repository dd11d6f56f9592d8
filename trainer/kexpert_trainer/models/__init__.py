"""The networks and their update on one batch: a Llama, the static embedder and the ranker of search.

No training loop over a corpus of tokens (``training``) and no file format of a release (``release``).
"""
