"""Trains and evaluates the models that kexpert serves. ``commands`` lists what it can do.

Knows ``kexpert.core`` and ``kexpert.prompt``, which training and serving share; serving itself is not here.
"""
