"""From a checkpoint to files that are shipped: GGUF, manifest, card."""
