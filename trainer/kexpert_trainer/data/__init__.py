"""From a kernel tree to training data: source files, tokenizer, token shards, FIM spans, pairs for the embedder.

No model and no optimisation; functions for evaluation are in ``evaluation``.
"""
