"""Pre-training: the loop, batches of packed documents, loss, optimizer, checkpoints and run log.

The network is in ``models``; where the tokens come from is in ``data``.
"""
