"""The completion menu. Ghost text is in ``features.inline``."""
