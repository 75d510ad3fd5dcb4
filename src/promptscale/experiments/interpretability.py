"""Interpretability (section 7): the nearest neighbours of prompt tokens in the frozen vocabulary.

Similarity is the cosine between a row of a prompt and a row of the embedding. Padding, EOS, the
unknown token, the sentinels and rows beyond the vocabulary are no neighbours: they are untrained,
or occur in no text.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from promptscale import prompts
from promptscale.config.jobs import PromptTuningJob
from promptscale.config.tasks import task as task_named
from promptscale.data.vocabulary import UNK_ID, Vocabulary
from promptscale.reporting.neighbour_words import word_of
from promptscale.reporting.neighbours import write
from promptscale.storage.atomic import atomic_write

NEIGHBOURS = 5  # as many as the paper looks at
_CONTROLS = 100  # the fewest random vectors of a control


@dataclasses.dataclass(frozen=True)
class Space:
    """The frozen embedding, and which of its rows may be neighbours."""

    embedding: Float[np.ndarray, "V D"]
    allowed: Bool[np.ndarray, " V"]

    @classmethod
    def of(cls, embedding: Float[np.ndarray, "V D"], vocabulary: Vocabulary) -> "Space":
        """The space of a vocabulary: its pieces that stand for text."""
        ids = np.arange(len(embedding))
        return cls(embedding, (ids > UNK_ID) & (ids < vocabulary.num_pieces))

    def nearest(
        self, vectors: Float[np.ndarray, "P D"], count: int = NEIGHBOURS
    ) -> tuple[Int[np.ndarray, "P K"], Float[np.ndarray, "P K"]]:
        """The ids of the nearest allowed rows, nearest first, and their cosines."""
        cosines = _unit(vectors) @ _unit(self.embedding).T
        cosines = np.where(self.allowed, cosines, -np.inf)
        ids = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        return ids, np.take_along_axis(cosines, ids, axis=1)

    def cohesion(self, ids: Int[np.ndarray, "P K"]) -> float:
        """The mean cosine between the neighbours of a vector, mean over the vectors."""
        units = _unit(self.embedding)[ids]
        cosines = np.einsum("pid,pjd->pij", units, units)
        upper = np.triu_indices(ids.shape[1], 1)
        return float(np.mean(cosines[:, upper[0], upper[1]]))

    def random_neighbours(self, prompt_length: int) -> Int[np.ndarray, "N P K"]:
        """The neighbours of N prompts of random vectors, as a control.

        The vectors have the embedding's mean and spread; there are at least a hundred.
        """
        rows = self.embedding[self.allowed]
        number = -(-_CONTROLS // prompt_length)
        draw = np.random.default_rng(0).normal(size=(number * prompt_length, rows.shape[1]))
        ids, _ = self.nearest(rows.mean(axis=0) + rows.std(axis=0) * draw)
        return ids.reshape(number, prompt_length, -1)


def duplicates(ids: Int[np.ndarray, "P K"]) -> float:
    """The share of prompt tokens whose nearest neighbour is also that of another token."""
    _, inverse, counts = np.unique(ids[:, 0], return_inverse=True, return_counts=True)
    return float(np.mean(counts[inverse] > 1))


def controls(space: Space, prompt_length: int) -> dict[str, float]:
    """`cohesion_random` and `duplicates_random`: what random prompts of a length have."""
    ids = space.random_neighbours(prompt_length)
    return {
        "cohesion_random": space.cohesion(ids.reshape(-1, ids.shape[2])),
        "duplicates_random": float(np.mean([duplicates(prompt) for prompt in ids])),
    }


def summarize(
    space: Space, ids: Int[np.ndarray, "P K"], labels: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Summarizes the neighbours of a prompt.

    Args:
      space: the frozen embedding.
      ids: the neighbours of the prompt's P tokens.
      labels: the token ids of each class label of its task.

    Returns:
      `labels`: the number of label rows, at most P (class-label initialisation starts row i with
      label i); `labels_persisting`: label rows with a piece of their label among their neighbours,
      counted for every initialisation, so that the others are controls; `labels_found`: labels
      that are a neighbour of any row; `rows_per_label`: the mean number of such rows over these
      labels (nan for no label); `duplicates`; `cohesion`.
    """
    labels = labels[: len(ids)]  # a short prompt has no room for more
    hits = np.zeros((len(labels), len(ids)), bool)
    for label, hit in zip(labels, hits, strict=True):
        hit[:] = [bool(set(row) & set(label)) for row in ids]
    near = hits.any(axis=1)  # labels
    return {
        "labels": len(labels),
        "labels_persisting": int(np.sum(np.diagonal(hits)[: len(labels)])),
        "labels_found": int(near.sum()),
        "rows_per_label": float(hits[near].sum(axis=1).mean()) if near.any() else np.nan,
        "duplicates": duplicates(ids),
        "cohesion": space.cohesion(ids),
    }


def describe(
    space: Space,
    prompt: Float[np.ndarray, "P D"],
    vocabulary: Vocabulary,
    words: Sequence[str],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Describes the neighbours of a prompt whose task has the class labels `words`.

    Returns:
      The summary of `summarize`, and a row for each neighbour of each prompt token: `row` (the
      prompt token), `rank` (1 is the nearest), `id`, `piece`, `cosine`, and `in_labels` (whether
      the piece is a word of the class labels, or of a label).
    """
    ids, cosines = space.nearest(prompt)
    labels = [vocabulary.encode(word) for word in words]
    of_labels = {word_of(vocabulary.piece(token)) for label in labels for token in label}
    pieces = np.vectorize(vocabulary.piece, otypes=[object])
    rows = [
        {
            "row": row,
            "rank": rank + 1,
            "id": int(ids[row, rank]),
            "piece": piece,
            "cosine": round(float(cosines[row, rank]), 4),
            "in_labels": word_of(piece) in of_labels,
        }
        for (row, rank), piece in np.ndenumerate(pieces(ids))
    ]
    return summarize(space, ids, labels), rows


def run(
    parts: Sequence[tuple[PromptTuningJob, Path]],
    embedding: Float[np.ndarray, "V D"],
    vocabulary: Vocabulary,
    *,
    summary: Path,
    neighbours: Path,
) -> None:
    """Writes a summary of every prompt of a size, and the neighbours themselves.

    Args:
      parts: the jobs, each with the folder of its prompts.
      embedding: the embedding of the checkpoint.
      vocabulary: the vocabulary of the checkpoint.
      summary: the path of the table of `reporting.neighbours.SCHEMA`.
      neighbours: the path of a table with the columns size, task, initialization, prompt_length,
        seed, those of the rows of `describe`, and label (the word that the row was started with, or
        empty).
    """
    space = Space.of(embedding, vocabulary)
    summaries, listed = [], []
    random: dict[int, dict[str, float]] = {}  # by prompt length
    for job, folder in parts:
        length = job.settings.prompt_length
        if length not in random:
            random[length] = controls(space, length)
        for run in job.runs:
            prompt = prompts.load(folder / run.task / f"seed_{run.seed}.npy")
            words = task_named(run.task).class_label_words
            about, rows = describe(space, prompt, vocabulary, words)
            method = job.settings.initialization.method
            started = words if method == "class_label" else ()
            named = {
                "size": job.size, "task": run.task, "initialization": method,
                "prompt_length": length, "seed": run.seed,
            }  # fmt: skip
            summaries.append({
                **named,
                "origin": job.origin,
                "label": job.label,
                **about,
                **random[length],
            })  # fmt: skip
            listed += [
                {**named, **row, "label": started[row["row"]] if row["row"] < len(started) else ""}
                for row in rows
            ]
    write(pd.DataFrame(summaries), summary)
    with atomic_write(neighbours) as partial:
        pd.DataFrame(listed).to_csv(partial, index=False)


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
