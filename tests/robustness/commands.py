"""Command lines that must be refused."""

from tests.robustness.case import Case

CASES: list[Case] = []
