"""Corpora, prepared data and task files that must be refused."""

from tests.robustness.case import Case

CASES: list[Case] = []
