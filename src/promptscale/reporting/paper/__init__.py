"""The paper's printed numbers and its misprints, as data (sources: README.md in this folder)."""

from pathlib import Path

import pandas as pd

from promptscale.config.sizes import PAPER_SIZES
from promptscale.config.tasks import SUPER_GLUE


def numbers(name: str) -> pd.DataFrame:
    """The table `name` as printed: `table1` to `table7`, or another file of this folder."""
    path = Path(__file__).with_name(f"{name}.csv")
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def errata(table: str) -> dict[tuple[str, str], dict[str, str]]:
    """The misprints of a table: (row, column) to the texts `printed`, `correct` and `note`.

    Those of `text` are in the paper's sentences, or are contradictions between its tables; the
    section stands for the row. `correct` is empty where the paper does not let us tell.
    """
    path = Path(__file__).with_name("errata.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
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


def curves(figure: int, panel: str = "") -> pd.DataFrame:
    """The paper's curves of Figure 1, or of a panel of Figure 3, as read off the figure.

    Returns:
      A row per curve and size of T5: `curve`, `size`, `parameters`, `mean` and `sd` (0 to 100; `sd`
      is nan where the band was not read) and `reading_error` (points; nan for an assumed value).
      GPT-3's curve is that of `gpt3_scores`.
    """
    rows = numbers("figures").fillna({"panel": ""})
    chosen = rows[(rows["figure"] == figure) & (rows["panel"] == panel)]
    chosen = chosen[chosen["size"].isin(PAPER_SIZES)].drop(columns=["figure", "panel"])
    parameters = [PAPER_SIZES[size].num_parameters for size in chosen["size"]]
    chosen.insert(2, "parameters", parameters)
    return chosen.reset_index(drop=True)
