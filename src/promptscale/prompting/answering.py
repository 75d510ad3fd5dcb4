"""Answers to a stream of texts, each after the prompt that it chooses, in bounded memory.

Letters: N prompts, M inputs, P prompt length, D d_model.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int

from promptscale.config.settings import EvaluationSettings
from promptscale.data.shapes import Shapes, rounded_length
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.inference import Params, Requests, generator, input_lengths, request_shapes
from promptscale.model import T5
from promptscale.prompting.prompt import Prompt

CHUNK = 1024  # inputs that are in memory at a time
MAX_OUTPUT_TOKENS = 97  # of a prompt without a card: T5's limit for SQuAD

Item = TypeVar("Item")


class Question(NamedTuple):
    """The token ids of an input without EOS, and the number of the prompt that it gets."""

    tokens: Sequence[int] | np.ndarray
    prompt: int = 0


class Answerer:
    """Answers questions with several prompts on a frozen model, or without any prompt.

    Prompts of the same length answer in the same micro-batches. Programs are compiled for the
    first chunk, and for a later chunk where the programs of the earlier chunks do not hold its
    longest input, or would take longer.
    """

    def __init__(
        self,
        model: T5,
        params: Params,
        vocabulary: Vocabulary,
        devices: Devices,
        prompts: Sequence[Prompt],
        max_output_tokens: int | None = None,
    ) -> None:
        """Takes the prompts; without any, the bare model answers.

        `max_output_tokens` is the limit of an answer; by default that of its prompt's card.
        """
        self._params, self._vocabulary, self._devices = params, vocabulary, devices
        self._architecture = model.config
        limits = [
            max_output_tokens
            or (prompt.card.max_output_tokens if prompt.card else MAX_OUTPUT_TOKENS)
            for prompt in prompts
        ]
        self._limits = np.array(limits or [max_output_tokens or MAX_OUTPUT_TOKENS])
        self._generate = generator(
            model, EvaluationSettings().decoding, int(self._limits.max()), devices.replicated()
        )
        lengths = [len(prompt.array) for prompt in prompts] or [0]
        self._lengths = np.array(lengths)
        self._prompts = {length: self._stacked(prompts, length) for length in sorted({*lengths})}
        self._shapes: dict[int, Shapes] = {}

    def answers(self, questions: Iterable[Question]) -> Iterator[str]:
        """The text of each answer, in the order of the questions."""
        for chunk in chunks(questions, CHUNK):
            yield from self._answer(chunk)

    def _stacked(self, prompts: Sequence[Prompt], length: int) -> Any:
        """The prompts of a length [N, P, D] on the devices; None where there is no prompt."""
        arrays = [prompt.array for prompt in prompts if len(prompt.array) == length]
        return self._devices.replicate(np.stack(arrays)) if arrays else None

    def _answer(self, questions: Sequence[Question]) -> list[str]:
        inputs = [np.asarray(question.tokens, np.int32) for question in questions]
        chosen = np.array([question.prompt for question in questions])
        texts = [""] * len(questions)
        for length, prompts in self._prompts.items():
            rows = np.flatnonzero(self._lengths[chosen] == length)
            if not len(rows):
                continue
            # The place of each prompt among those of its length.
            places = np.cumsum(self._lengths == length) - 1
            asked = [inputs[row] for row in rows]
            requests = Requests(
                asked,
                places[chosen[rows]],
                self._limits[chosen[rows]],
                self._devices,
                self._fitting(length, input_lengths(asked)),
            )
            answers = requests.answer(self._generate, self._params, prompts)
            for row, ids in zip(rows.tolist(), answers, strict=True):
                texts[row] = self._vocabulary.decode(ids)
        return texts

    def _fitting(self, prompt_length: int, lengths: Int[np.ndarray, " M"]) -> Shapes:
        """The shapes of a chunk; those of earlier chunks are compiled."""
        before = self._shapes.get(prompt_length)
        shapes = self._shapes[prompt_length] = request_shapes(
            lengths,
            self._devices,
            self._architecture,
            prompt_length,
            longest=rounded_length(int(lengths.max())),
            compiled=before.choice if before else frozenset(),
        )
        return shapes


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last of which may be shorter."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
