"""Language models: which engine runs, prompts that fit its context, decoding, and copying from nearby code.

Not here: the interface that features use (``kexpert.abilities``) and the form of prompts (``kexpert.prompt``).
"""
