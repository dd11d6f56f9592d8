"""Trains the models that kexpert serves."""
