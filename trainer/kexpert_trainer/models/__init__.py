"""Models that are trained: a plain Llama, the embedder and the ranker of search."""
