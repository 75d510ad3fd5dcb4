"""The paper's printed numbers and its misprints, as data (sources: README.md in this folder)."""

from pathlib import Path

import pandas as pd

from promptscale.config.tasks import SUPER_GLUE


def numbers(name: str) -> pd.DataFrame:
    """The table `name`: `table1` to `table7`, `label_distributions`, `gpt3_few_shot`, `figures`."""
    path = Path(__file__).with_name(f"{name}.csv")
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def errata(table: str) -> dict[tuple[str, str], dict[str, str]]:
    """The misprints of a table: (row, column) to the texts `printed`, `correct` and `note`."""
    rows = pd.read_csv(Path(__file__).with_name("errata.csv"), dtype=str)
    return {
        (row["row"], row["column"]): {key: row[key] for key in ("printed", "correct", "note")}
        for row in rows[rows["table"] == table].to_dict("records")
    }


def gpt3_scores(tasks: tuple[str, ...] = SUPER_GLUE) -> pd.DataFrame:
    """GPT-3's few-shot mean score over some SuperGLUE tasks (Figure 1's prompt design).

    Returns:
      Columns `size`, `parameters` and `score`: the mean over tasks of the mean over metrics.
    """
    values = numbers("gpt3_few_shot")
    values = values[values["task"].isin(tasks)]
    per_task = values.groupby(["parameters", "size", "task"], as_index=False)["value"].mean()
    scores = per_task.groupby(["parameters", "size"], as_index=False)["value"].mean()
    return scores.rename(columns={"value": "score"})
