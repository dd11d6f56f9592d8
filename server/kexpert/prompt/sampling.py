"""How answers are drawn where several are wanted.

Logits are divided by ``TEMPERATURE``; then the likeliest tokens may be drawn whose probabilities together reach
``NUCLEUS`` (nucleus sampling, Holtzman et al. 2020).
"""

TEMPERATURE, NUCLEUS = 0.7, 0.95
