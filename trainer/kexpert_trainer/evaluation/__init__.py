"""Measurements on functions that a model cannot know, beside simple baselines."""
