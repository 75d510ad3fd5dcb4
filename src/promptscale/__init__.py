"""Prompt tuning of frozen T5 models, after Lester, Al-Rfou and Constant (2021)."""

__version__ = "0.1.0"
