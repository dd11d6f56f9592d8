"""Attention in Triton for training, prefill and decoding, and its integration with transformers.

- ``flash_attention``      forward and backward, packed rows; for gradients or many queries
- ``decode_attention``     few queries over a long key cache, contiguous or paged
- ``attention_interface``  ``attn_implementation="kexpert_triton"`` for transformers
- ``implementation``       chooses that name where the kernels can run, ``sdpa`` elsewhere
- ``ranges``               the interval of keys that a query sees
- ``reference``            the same computation in plain PyTorch
- ``autotuning``           block sizes for the current device
- ``benchmark``            ``python -m kexpert_kernels.benchmark``

Importing the package imports nothing else; its modules import torch and triton.
"""
