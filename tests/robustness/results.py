"""Tables of results and published bundles that must be refused."""

from tests.robustness.case import Case

CASES: list[Case] = []
