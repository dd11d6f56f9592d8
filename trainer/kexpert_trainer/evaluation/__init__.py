"""Evaluation of the served search and inline completion on functions that a model cannot know, beside baselines.

Loss on held-out text is measured during training, in ``training``.
"""
