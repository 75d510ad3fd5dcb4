"""The command `evaluate`: the scores of a prompt on a task."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from promptscale.cli.prompting import Checkpoint, InputTemplate, TableFormat, VocabularyFile, set_up
from promptscale.config.tasks import task as task_named
from promptscale.errors import ConfigError


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="A table, or a prepared split: TASK/validation of the results.")
    ],
    checkpoint: Checkpoint,
    vocabulary: VocabularyFile,
    prompt: Annotated[
        str,
        typer.Option(
            help="A folder of `tune`, a .npy file, or a PEFT or T5X prompt; by default none."
        ),
    ] = "",
    task: Annotated[
        str, typer.Option(help="A task of the paper, such as sst2; by default the prompt's own.")
    ] = "",
    template: InputTemplate = "",
    target_column: Annotated[
        str, typer.Option(help="The column of the targets; by default the card's, else target.")
    ] = "",
    table_format: TableFormat = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write input, target and prediction to this JSON lines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a prompt on a table or on a prepared split, by the metrics of its task.

    Example: promptscale evaluate test.csv --prompt prompts/reviews --checkpoint t5_small
    --vocabulary spiece.model
    """
    defined = task_named(task) if task else None
    set_up()
    from promptscale.data.prepared import write_rows
    from promptscale.prompting import examples
    from promptscale.prompting.model import load
    from promptscale.prompting.prompt import load_prompts
    from promptscale.prompting.template import DEFAULT, Template

    prompts, model = load_prompts([prompt] if prompt else []), load(checkpoint, vocabulary)
    card = prompts[0].card if prompts else model.card
    defined = defined or (card.task if card else None)
    if defined is None:
        raise ConfigError(f"{prompt or checkpoint} has no card with a task; name it with --task.")
    with tempfile.TemporaryDirectory() as folder:
        prefix = data.with_suffix("")
        if data.suffix not in ("", ".safetensors"):
            prefix = Path(folder, "split")
            columns = Template(template or (card.template if card else DEFAULT))
            column = target_column or (card.target_column if card else "target")
            rows = examples.read_examples(data, columns, column, table_format)
            examples.prepare(defined, rows, model.vocabulary, prefix)
        dev, texts = model.evaluate(prompts, prefix, defined)
    scores = dev.score(texts)
    if predictions:
        write_rows(predictions, dev.prediction_rows(texts))
    if as_json:
        print(json.dumps({"task": defined.name, "examples": len(texts), "scores": scores}))
        return
    shown = ", ".join(f"{metric} {value:.2f}" for metric, value in scores.items())
    print(f"{defined.title}: {shown} on {len(texts)} examples")
