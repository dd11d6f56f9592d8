"""From a tree to data: source files, corpora, tokenizers, holes, pairs."""
