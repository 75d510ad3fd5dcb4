"""The command `tune`: a prompt for a user's own task."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from promptscale.cli.prompting import Checkpoint, TableFormat, VocabularyFile, set_up


def tune(
    data: Annotated[Path, typer.Argument(help="A table: .csv, .tsv or .jsonl, also with .gz.")],
    checkpoint: Checkpoint,
    vocabulary: VocabularyFile,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the results; by default prompts/NAME.")
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(help="A table of dev examples; by default a tenth of DATA.")
    ] = None,
    template: Annotated[
        str, typer.Option(help="The input, with columns in braces: 'question: {q} context: {c}'.")
    ] = "{input}",
    target_column: Annotated[str, typer.Option(help="The column of the targets.")] = "target",
    answers: Annotated[
        Literal["auto", "labels", "text"],
        typer.Option(help="Whether targets are labels (accuracy) or free text (F1, exact match)."),
    ] = "auto",
    table_format: TableFormat = None,
    name: Annotated[str, typer.Option(help="The task's name; by default that of DATA.")] = "",
    method: Annotated[
        Literal["prompt", "model"], typer.Option(help="Tune a prompt, or all of the model.")
    ] = "prompt",
    seeds: Annotated[int, typer.Option(help="Runs that are trained together; the best wins.")] = 1,
    steps: Annotated[int, typer.Option(help="Steps; the paper's are 30000.")] = 1000,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations; by default a tenth of all.")
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after so many evaluations without a better score; 0: never.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(help="Examples per step and seed.")] = 32,
    learning_rate: Annotated[
        float | None, typer.Option(help="By default 0.3 for prompts, 0.001 for the model.")
    ] = None,
    prompt_length: Annotated[int, typer.Option(help="Tokens of the prompt.")] = 100,
    initialization: Annotated[
        Literal["class_label", "sampled_vocab", "random_uniform"],
        typer.Option(help="What prompts start from; without labels, class_label samples."),
    ] = "class_label",
    dropout_rate: Annotated[float, typer.Option(help="Dropout.")] = 0.1,
    max_input_length: Annotated[
        int, typer.Option(help="Longer inputs are cut in training, in tokens.")
    ] = 512,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Tune a prompt for your own task; killed and started again, it goes on.

    Example: promptscale tune reviews.csv --checkpoint t5_small --vocabulary spiece.model
    """
    set_up()
    from promptscale.prompting.model import load
    from promptscale.prompting.options import checked_options
    from promptscale.prompting.tuning import task_name
    from promptscale.prompting.tuning import tune as tune_task

    options = checked_options(
        dev=dev,
        format=table_format,
        template=template,
        target_column=target_column,
        answers=answers,
        name=name,
        method=method,
        seeds=seeds,
        steps=steps,
        evaluate_every=evaluate_every,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
        prompt_length=prompt_length,
        initialization=initialization,
        dropout_rate=dropout_rate,
        max_input_length=max_input_length,
    )
    folder = out or Path("prompts", task_name(data, options))
    card = tune_task(load(checkpoint, vocabulary), data, folder, options).card
    if as_json:
        print(card.model_dump_json())
        return
    metrics = {metric: value for metric, value in card.scores.items() if metric != "score"}
    scores = ", ".join(f"{metric} {value:.1f}" for metric, value in metrics.items())
    print(f"{folder}: {scores} on {card.dev_examples} dev examples, the best evaluation of all "
          f"(seed {card.seed}, step {card.step})")  # fmt: skip
