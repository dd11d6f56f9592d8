"""Language models: which one to run, how it runs, how its tokens become text.

What a feature asks of a model is in ``types``; prompts are in ``kexpert.prompt``.
"""
