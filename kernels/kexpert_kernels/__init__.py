"""Attention in Triton: training, prefill and decoding, and its place inside transformers.

- ``flash_attention``      forward and backward, packed rows, for anything that has gradients or many queries
- ``decode_attention``     few queries against a long cache of keys, contiguous or paged
- ``attention_interface``  ``attn_implementation="kexpert_triton"`` for transformers
- ``implementation``       that name where the kernels can run, ``sdpa`` elsewhere
- ``ranges``               which keys a query sees
- ``reference``            the same mathematics in plain PyTorch
- ``autotuning``           block sizes for the device at hand
- ``benchmark``            ``python -m kexpert_kernels.benchmark``

Importing the package imports nothing else; its modules import torch and triton.
"""
