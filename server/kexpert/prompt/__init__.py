"""What training and serving must share: the form of prompts, and a model's manifest.

A change of form needs a new version; golden files hold it.
"""
