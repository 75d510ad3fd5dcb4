"""Checkpoints, prompts and vocabularies that must be refused."""

from tests.robustness.case import Case

CASES: list[Case] = []
