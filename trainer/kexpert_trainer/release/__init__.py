"""From a checkpoint to files that ship: GGUF, manifest, model card, model2vec folder; weights in parts.

Nothing here changes what a model has learnt.
"""
