"""What a prompt's tokens are: their norms, neighbours and clusters, for `promptscale inspect`."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from promptscale import prompts
from promptscale.checkpoints.fit import EMBEDDING, check_vocabulary
from promptscale.checkpoints.read import open_t5
from promptscale.data.vocabulary import Vocabulary
from promptscale.experiments.interpretability import Space, controls, describe

_SAME = 0.99  # the cosine from which a prompt token counts as its nearest neighbour
_OF_LABELS = ("labels", "labels_persisting", "labels_found", "rows_per_label")


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found about a prompt.

    Attributes:
      words: the class labels that the prompt's first tokens may have started as; may be empty.
      norms: the Euclidean norm of each prompt token.
      vocabulary_norm: the median norm of the tokens that can be neighbours.
      summary: `interpretability.summarize`, with `interpretability.controls`.
      neighbours: for each prompt token its neighbours, nearest first (`interpretability.describe`).
    """

    words: tuple[str, ...]
    norms: Float[np.ndarray, " P"]
    vocabulary_norm: float
    summary: dict[str, Any]
    neighbours: tuple[tuple[dict[str, Any], ...], ...]

    @property
    def clusters(self) -> dict[str, list[int]]:
        """The prompt tokens by their nearest neighbour, where several share it; largest first."""
        members: dict[str, list[int]] = {}
        for row, (nearest, *_) in enumerate(self.neighbours):
            members.setdefault(nearest["piece"], []).append(row)
        shared = [(piece, rows) for piece, rows in members.items() if len(rows) > 1]
        return dict(sorted(shared, key=lambda cluster: -len(cluster[1])))

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON values; what is of class labels only if there are any."""
        summary = {
            name: None if math.isnan(value) else value
            for name, value in self.summary.items()
            if self.words or name not in _OF_LABELS
        }
        tokens = [
            {
                "norm": round(float(self.norms[row]), 4),
                "label": self.words[row] if row < len(self.words) else None,
                "neighbours": [
                    {key: neighbour[key] for key in ("id", "piece", "cosine", "in_labels")}
                    for neighbour in neighbours
                ],
            }
            for row, neighbours in enumerate(self.neighbours)
        ]
        return {
            "vocabulary_norm": self.vocabulary_norm,
            **summary,
            "clusters": self.clusters,
            "tokens": tokens,
        }

    def lines(self) -> Iterator[str]:
        """The inspection as text for a terminal."""
        low, median, high = np.quantile(self.norms, [0, 0.5, 1])
        yield (
            f"norms: {low:.3g} to {high:.3g}, median {median:.3g}; the vocabulary's median is "
            f"{self.vocabulary_norm:.3g}"
        )
        about = self.summary
        yield (
            f"cohesion of the neighbours of a prompt token: {about['cohesion']:.2f} (mean cosine); "
            f"of a random vector: {about['cohesion_random']:.2f}"
        )
        if self.words:
            yield (
                f"class labels: {about['labels_persisting']} of {about['labels']} are among the "
                "neighbours of the prompt token in their place, "
                f"{about['labels_found']} among those of any prompt token"
            )
        near = sum(row[0]["cosine"] >= _SAME for row in self.neighbours)
        yield (
            "prompt tokens that hardly differ from their nearest neighbour (a cosine of at least "
            f"{_SAME}), as a prompt does before its training: {near} of {len(self.neighbours)}"
        )
        yield f"prompt tokens that share their nearest neighbour: {about['duplicates']:.0%}"
        for piece, rows in self.clusters.items():
            yield f"  {piece}: prompt tokens {', '.join(map(str, rows))}"
        yield "token   norm  nearest neighbours, with their cosines (*: of a class label)"
        for row, neighbours in enumerate(self.neighbours):
            shown = "  ".join(
                f"{neighbour['piece']}{'*' if neighbour['in_labels'] else ''} "
                f"{neighbour['cosine']:.2f}"
                for neighbour in neighbours
            )
            yield f"{row:>5}{self.norms[row]:>7.3g}  {shown}"


def inspect(
    location: str, checkpoint: str, vocabulary_file: Path, words: Sequence[str] = ()
) -> Inspection:
    """Inspects the prompt at `location`, which was tuned on a checkpoint.

    Args:
      location: the prompt, in any format of `prompts.load`.
      checkpoint: the checkpoint, of any format that is read.
      vocabulary_file: the SentencePiece model of the checkpoint.
      words: the class labels of the prompt's task, in the order of the initialisation.

    Raises:
      CheckpointError, DataError: an input is missing or damaged, or they do not fit each other.
    """
    prompt = prompts.load(location)
    vocabulary = Vocabulary(vocabulary_file)
    opened, architecture = open_t5(checkpoint)
    prompts.check_width(location, prompt, architecture.d_model)
    check_vocabulary(vocabulary_file, vocabulary.size, architecture)
    embedding = opened.params[EMBEDDING].whole().astype(np.float32, copy=False)
    space = Space.of(embedding, vocabulary)
    summary, rows = describe(space, prompt, vocabulary, words)
    count = len(rows) // len(prompt)
    return Inspection(
        words=tuple(words),
        norms=np.linalg.norm(prompt, axis=1),
        vocabulary_norm=float(np.median(np.linalg.norm(embedding[space.allowed], axis=1))),
        summary=summary | controls(space, len(prompt)),
        neighbours=tuple(
            tuple(rows[start : start + count]) for start in range(0, len(rows), count)
        ),
    )
