"""A frozen model with its vocabulary: it is tuned for tasks, answers and is evaluated."""

import functools
import itertools
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from promptscale.checkpoints.fit import check_vocabulary
from promptscale.checkpoints.read import open_t5
from promptscale.checkpoints.sharded import load_model
from promptscale.config.settings import Activations
from promptscale.config.tasks import Task
from promptscale.data import prepared
from promptscale.data.vocabulary import Vocabulary
from promptscale.distributed.mesh import Devices
from promptscale.errors import ConfigError
from promptscale.evaluation.dev_set import DevSet
from promptscale.experiments.ensembles import vote
from promptscale.inference import Params
from promptscale.model import T5
from promptscale.prompting.answering import Answerer, Question, chunks
from promptscale.prompting.card import IN_CHECKPOINT, Card, Source, read_card
from promptscale.prompting.examples import task_of
from promptscale.prompting.prompt import Prompt
from promptscale.prompts import check_width
from promptscale.storage.fingerprint import tree_digest

log = logging.getLogger(__name__)


class Model:
    """A frozen T5 1.1 and its vocabulary. `promptscale.load` makes it.

    Attributes:
      checkpoint: the location of the model.
      vocabulary: its tokens.
      architecture: its sizes.
      activations: the dtype that it computes in.
      card: what it was tuned for by a model tuning; None for any other checkpoint.
    """

    def __init__(
        self, checkpoint: str | Path, vocabulary: str | Path, activations: Activations | None = None
    ) -> None:
        """Opens the checkpoint and the vocabulary; parameters are read when they are needed."""
        self.checkpoint = str(checkpoint)
        _, self.architecture = open_t5(self.checkpoint)
        self.vocabulary = Vocabulary(Path(vocabulary))
        check_vocabulary(self.vocabulary.path, self.vocabulary.size, self.architecture)
        # Processors without arithmetic in bfloat16 emulate it slowly.
        default: Activations = "float32" if jax.default_backend() == "cpu" else "bfloat16"
        self.activations: Activations = activations or default
        card = Path(self.checkpoint, IN_CHECKPOINT)
        self.card: Card | None = read_card(card) if card.is_file() else None
        self._devices = Devices()

    @functools.cached_property
    def source(self) -> Source:
        """The checkpoint's location, and the digest of its files."""
        return Source(location=self.checkpoint, digest=tree_digest(self.checkpoint))

    def tune(
        self,
        data: str | Path | Iterable[tuple[str, str]],
        out: str | Path | None = None,
        **options: Any,
    ) -> Prompt:
        """Tunes a prompt for a task, and returns the best of its seeds.

        Args:
          data: pairs of input and target, or a table (CSV, TSV, JSON lines) with such columns.
          out: the folder of the results, in which a killed tuning goes on; None: nothing is left.
          options: fields of `promptscale.prompting.options.Options`, such as `steps=500`.

        Raises:
          PromptscaleError: an input is missing, damaged or does not fit.
        """
        # Imported here, because that module imports this one.
        from promptscale.prompting.options import checked_options
        from promptscale.prompting.tuning import tune

        data = Path(data) if isinstance(data, str | Path) else list(data)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch if out is None else out)
            tuned = tune(self, data, folder, checked_options(**options, method="prompt"))
        assert tuned.prompt
        return tuned.prompt

    def answerer(self, prompts: Sequence[Prompt], max_output_tokens: int | None = None) -> Answerer:
        """What answers with these prompts, or without any; compiled programs stay in it.

        Raises:
          CheckpointError: a prompt is of another width than the model.
        """
        for prompt in prompts:
            self._check(prompt)
        if self.card and not prompts:
            max_output_tokens = max_output_tokens or self.card.max_output_tokens
        return Answerer(
            self._network, self._params, self.vocabulary, self._devices, prompts, max_output_tokens
        )

    def predict(
        self,
        inputs: Iterable[str],
        prompts: Prompt | Sequence[Prompt] = (),
        *,
        choose: Iterable[int] | None = None,
        votes: bool = False,
        max_output_tokens: int | None = None,
    ) -> Iterator[str]:
        """The answers to texts, one after the other; the texts may be more than the memory holds.

        Args:
          inputs: the texts, as the prompts were trained on them (after their template).
          prompts: a prompt, or several; none: the model answers without a prompt.
          choose: the number of the prompt for each input; by default the first answers.
          votes: all prompts answer every input, and the majority wins (section 6).
          max_output_tokens: the limit of an answer; by default that of its prompt's card.

        Raises:
          CheckpointError: a prompt is of another width than the model.
          ConfigError: prompts vote that are none, or that are chosen; or `choose` has another
            length than the inputs, or names a prompt that is not there.
        """
        prompts = [prompts] if isinstance(prompts, Prompt) else list(prompts)
        answerer, encode = self.answerer(prompts, max_output_tokens), self.vocabulary.encode
        if not votes:
            return answerer.answers(_questions(map(encode, inputs), choose, len(prompts)))
        if choose is not None:
            raise ConfigError("Prompts that vote answer every input; none is chosen.")
        task = _common_task(prompts)
        everyone = (Question(ids, n) for ids in map(encode, inputs) for n in range(len(prompts)))
        ballots = chunks(answerer.answers(everyone), len(prompts))
        return (vote(task, [[text] for text in texts])[0] for texts in ballots)

    def evaluate(
        self, prompts: Sequence[Prompt], split: Path, task: Task
    ) -> tuple[DevSet, list[str]]:
        """Answers a prepared split with the first prompt, or without any; what scores the answers.

        `split` is the path of its files without their suffixes.

        Raises:
          CheckpointError, DataError: the prompt or the split is damaged or does not fit.
        """
        dev = DevSet(task, prepared.read(split, self.architecture.vocab_size), self.vocabulary)
        return dev, list(self.answerer(prompts, dev.limit).answers(map(Question, dev.inputs)))

    @functools.cached_property
    def _network(self) -> T5:
        return T5(self.architecture, dtype=jnp.dtype(self.activations))

    @functools.cached_property
    def _params(self) -> Params:
        loaded = load_model(
            self.checkpoint, self.architecture, self._devices, activations=self.activations
        )
        return traverse_util.unflatten_dict(loaded.params, sep="/")

    def _check(self, prompt: Prompt) -> None:
        """Checks that a prompt fits the model, and warns if it was trained on another."""
        check_width(prompt.name, prompt.array, self.architecture.d_model)
        if prompt.card and prompt.card.sources.checkpoint.digest != self.source.digest:
            log.warning(
                "the prompt %s was trained on the checkpoint %s, whose files are not those of %s",
                prompt.name,
                prompt.card.sources.checkpoint.location,
                self.checkpoint,
            )


def _questions(
    inputs: Iterable[Sequence[int]], choose: Iterable[int] | None, prompts: int
) -> Iterator[Question]:
    """The inputs, each with the number of its prompt among so many prompts."""
    if choose is None:
        yield from map(Question, inputs)
        return
    for tokens, number in itertools.zip_longest(inputs, choose):
        if tokens is None or number is None:
            raise ConfigError("`choose` must have a number for each input, and no more numbers.")
        if not 0 <= number < max(prompts, 1):
            raise ConfigError(
                f"`choose` names the prompt {number}, but there are {prompts}, numbered from 0."
            )
        yield Question(tokens, number)


def _common_task(prompts: Sequence[Prompt]) -> Task:
    """The task whose rule counts the votes; free text where prompts have no cards.

    Raises:
      ConfigError: there is no prompt, or prompts of different labels would vote.
    """
    tasks = [prompt.card.task if prompt.card else None for prompt in prompts]
    if not tasks or len({task.labels if task else () for task in tasks}) > 1:
        raise ConfigError(
            "Prompts vote that were trained for the same labels; "
            f"here are {', '.join(prompt.name for prompt in prompts) or 'none'}."
        )
    return tasks[0] or task_of("vote", [], "text")


def load(
    checkpoint: str | Path, vocabulary: str | Path, activations: Activations | None = None
) -> Model:
    """Opens a T5 1.1 and its vocabulary.

    Args:
      checkpoint: a T5X checkpoint, local or at `gs://`, or the folder of a Hugging Face model.
      vocabulary: the SentencePiece model, `sentencepiece.model` or `spiece.model`.
      activations: the dtype that the model computes in; by default float32 on processors and
        bfloat16 on accelerators.

    Raises:
      CheckpointError, DataError: a file is missing, damaged or does not fit the others.
    """
    return Model(checkpoint, vocabulary, activations)
