"""The form of prompts and of a model's manifest: what training and serving must share.

A changed prompt needs a new ``PROMPT_VERSION`` or ``CHAT_PROMPT_VERSION``; golden files in the tests check this.
"""
