"""The screen at the end of a run."""

import pandas as pd

from promptscale.reporting.summary import summary
from tests.reporting.conftest import SETTING, made


def test_the_screen_has_scores_by_method_and_size_and_the_verdicts(tmp_path, make_runs):
    """Scores are 50, 60, 70 by size plus the seed, and five points more for model tuning."""
    claims = tmp_path / "claims.csv"
    pd.DataFrame({
        "claim": ["a", "b", "c"],
        "statement": ["Prompts win", "x" * 200, "Unclear"],
        "verdict": ["holds", "does not hold", "undecided"],
    }).to_csv(claims, index=False)  # fmt: skip
    lines = summary(made(make_runs(), default=SETTING), claims)
    cells = {line[:24].strip(): line[24:].split("  ") for line in lines}
    cells = {name: [cell.strip() for cell in row if cell.strip()] for name, row in cells.items()}
    assert cells["Prompt tuning"][-3:] == ["51.0 ± 1.0", "61.0 ± 1.0", "71.0 ± 1.0"]
    assert cells["Model tuning"][-3:] == ["56.0 ± 1.0", "66.0 ± 1.0", "76.0 ± 1.0"]
    assert cells["Best constant answer"][-3:] == ["42.5", "42.5", "42.5"]
    text = "\n".join(lines)
    assert "not the paper's results" in text
    assert "The paper's claims: 1 holds, 1 does not hold, 1 undecided" in text
    assert "  holds: Prompts win" in lines and "Unclear" not in text
    assert max(map(len, lines[1:])) <= 100 and len(lines) < 40
