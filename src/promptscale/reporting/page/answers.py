"""The predictions and the prompts' neighbours, as compact data of the page."""

from typing import Any

import pandas as pd

from promptscale.errors import ResultsError
from promptscale.reporting import neighbour_lists, predictions
from promptscale.reporting.context import Context
from promptscale.reporting.page.run_labels import run_labels

_LONGEST = 1500  # characters of a text that the page shows


def answers(context: Context) -> dict[str, Any]:
    """The outcomes of all runs, and what they answered to the chosen examples.

    Returns:
      By evaluated task: `examples` (id, input and target of each), `texts` (the different answers)
      and `runs`: for each run its `name`, `group` (method and size), `label` (setting and seed),
      `counts` of outcomes (`predictions.OUTCOMES`), and for every example the place of its answer
      in `texts` and the place of its outcome. Examples are missing where the tables of texts are
      missing; the result is empty without the outcomes.
    Raises:
      ResultsError: a table is not well-formed, or two tables are not of the same runs.
    """
    if "outcomes" not in context.tables:
        return {}
    counts = predictions.read("outcomes", context.path("outcomes"))
    tasks: dict[str, Any] = {
        task: {"examples": [], "texts": [], "runs": []} for task in sorted(set(counts["eval_task"]))
    }
    order = list(predictions.OUTCOMES)
    labels = run_labels(context)
    rows: list[Any] = counts.to_dict("records")
    for row in rows:
        if (row["run"], row["eval_task"]) not in labels:
            raise ResultsError(
                f"{context.path('outcomes')} has the run {row['run']} on {row['eval_task']}, which "
                f"{context.path('runs')} lacks; make both tables of the same runs."
            )
    # The page shows the first run.
    for row in sorted(rows, key=lambda row: labels[row["run"], row["eval_task"]].place):
        label = labels[row["run"], row["eval_task"]]
        run = {
            "name": row["run"], "group": label.group,
            "label": f"{label.setting}, seed {label.seed}",
            "counts": [row[name] for name in order], "answers": [], "outcomes": [],
        }  # fmt: skip
        tasks[row["eval_task"]]["runs"].append(run)
    if "predictions" not in context.tables:
        return tasks
    examples = predictions.read("examples", context.path("examples"))
    given = predictions.read("predictions", context.path("predictions"))
    for task, chosen in examples.groupby("eval_task"):
        shown = [
            [cell[:_LONGEST] for cell in row]
            for row in chosen[["id", "inputs", "targets"]].itertuples(index=False)
        ]
        answered = given[given["eval_task"] == task]
        places, texts = pd.factorize(answered["prediction"].str.slice(0, _LONGEST))
        answered = answered.assign(place=places)
        for run in tasks[str(task)]["runs"]:
            part = answered[answered["run"] == run["name"]].set_index("id").reindex(chosen["id"])
            if part["outcome"].isna().any():
                raise ResultsError(
                    f"{context.path('predictions')} lacks the answer of the run {run['name']} to "
                    f"the example {part.index[part['outcome'].isna()][0]} of {task}; make it again."
                )
            run["answers"] = part["place"].astype(int).tolist()
            run["outcomes"] = part["outcome"].map(order.index).tolist()
        tasks[str(task)] |= {"examples": shown, "texts": texts.tolist()}
    return tasks


def neighbours(context: Context) -> list[dict[str, Any]]:
    """The nearest neighbours of every token of the prompts in `neighbour_lists`.

    Returns:
      For each prompt its `size`, `task`, `initialization`, `seed` and `tokens`: for each token the
      word that it was started with (or empty), and its neighbours, nearest first: the piece, its
      cosine, and whether it is a word of the task's labels. Empty if the table is missing.
    """
    if "neighbour_lists" not in context.tables:
        return []
    rows = neighbour_lists.read(context.path("neighbour_lists")).sort_values(["row", "rank"])
    prompts = []
    for key, part in rows.groupby(["size", "task", "initialization", "seed"], sort=False):
        part = part.assign(cosine=part["cosine"].round(2))
        tokens = [
            [token["label"].iloc[0], token[["piece", "cosine", "in_labels"]].values.tolist()]
            for _, token in part.groupby("row")
        ]
        size, task, initialization, seed = key
        prompts.append({
            "size": size, "task": task, "initialization": initialization, "seed": seed,
            "tokens": tokens,
        })  # fmt: skip
    return prompts
