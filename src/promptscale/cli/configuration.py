"""Commands about a configuration, before anything runs: `check`, `plan` and `parameters`."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from promptscale.config import outputs
from promptscale.config.accelerators import accelerators
from promptscale.config.load import load_config
from promptscale.config.sizes import parameter_counts
from promptscale.errors import ConfigError
from promptscale.planning.costs import PADDING, Estimate, estimate
from promptscale.planning.counts import jobs, run_table, trainings
from promptscale.storage.atomic import atomic_write


def parameters(
    size: Annotated[str, typer.Option(help="T5 size: small, base, large, xl, xxl or mini-*.")],
    prompt_length: Annotated[int, typer.Option(help="Length of the prompt in tokens.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the number of parameters of a prompt and of the frozen model (Table 4)."""
    counts = parameter_counts(size, prompt_length)
    if as_json:
        print(json.dumps(counts))
    else:
        print(
            f"{counts['trainable']:,} of {counts['total']:,} parameters are trainable "
            f"({counts['percent']:.5f} %): a prompt of {prompt_length} tokens on T5 {size}."
        )


def check(
    config: Annotated[
        Path, typer.Argument(help="A configuration file, such as config/paper.yaml.")
    ],
) -> None:
    """Check that a configuration is valid and that its local files exist."""
    settings = load_config(config)
    if missing := outputs.missing_files(settings):
        raise ConfigError("\n".join(f"{config}: {sentence}" for sentence in missing))
    runs = len(run_table(settings))
    print(f"{config} is valid and has {runs} runs; `promptscale plan` shows their cost.")


def plan(
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path(
        "config/miniature.yaml"
    ),
    runs: Annotated[Path | None, typer.Option(help="Write the table of runs to this CSV.")] = None,
    accelerator: Annotated[
        str, typer.Option(help="Accelerator of all jobs, from accelerators.yaml.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the jobs of a configuration and an estimate of their cost; start nothing."""
    settings = load_config(config)
    if accelerator and accelerator not in accelerators():
        known = ", ".join(accelerators())
        raise ConfigError(f"There is no accelerator {accelerator!r}; the table has {known}.")
    counts = {"trainings": trainings(settings), "jobs": jobs(settings)}
    cost = estimate(settings, accelerator)
    if runs is not None:
        if runs.is_dir() or not runs.absolute().parent.is_dir():
            raise ConfigError(f"The table of runs cannot be written to {runs}: give a file's path.")
        rows = run_table(settings)
        with atomic_write(runs) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if as_json:
        print(json.dumps(counts | {"cost": dataclasses.asdict(cost)}))
        return
    for unit, by_kind in counts.items():
        print(f"{unit} ({config})")
        for kind, count in (by_kind | {"in all": sum(by_kind.values())}).items():
            print(f"  {kind:<32}{count:>7,}")
    _print_cost(cost, settings.budget.accelerator_hours)


def _print_cost(cost: Estimate, budget: float) -> None:
    print(f"estimated cost on {', '.join(cost.accelerators)}")
    print(
        f"  {'':<22}{'EFLOP':>10}{'chip-hours':>12}{'USD':>10}{'GB stored':>10}{'GB state':>10}"
        f"{'padding':>9}  utilisation"
    )
    for kind, amount in (dict(cost.by_kind) | {"in all": cost.total}).items():
        hours, usd = (f"{x:,.0f}" if x else "-" for x in (amount.accelerator_hours, amount.usd))
        sizes = f"{amount.stored_bytes / 1e9:>10,.1f}{amount.state_bytes / 1e9:>10,.1f}"
        line = f"  {kind:<22}{amount.flops / 1e18:>10,.3g}{hours:>12}{usd:>10}{sizes}"
        if shares := cost.utilization.get(kind):
            line += f"{PADDING[kind]:>9.0%}  {', '.join(shares)}"
        print(line)
    if cost.total.accelerator_hours < 1:
        print("  the models are too small for a price by FLOPs; `promptscale status` estimates the")
        print("  time of a run once a training is done")
    print(f"  the longest chain of jobs takes {cost.longest_path_hours:,.1f} hours")
    if cost.search.jobs:
        print(
            f"  the target hyperparameter_search comes on top: {cost.search.jobs:,} jobs, "
            f"{cost.search.accelerator_hours:,.0f} chip-hours"
            + (f", {cost.search.usd:,.0f} USD" if cost.search.usd else "")
        )
    print(f"  `budget.accelerator_hours` is {budget:,.0f}")
    print("  GB state: saved states if all jobs run at the same time; deleted when a job is done")
    print("  EFLOP: by the mean lengths of real examples (lengths.yaml), with the share of padding")
    if cost.unpriced:
        print(f"  USD leaves out, without a price in accelerators.yaml: {', '.join(cost.unpriced)}")
    if cost.assumed:
        sizes = ", ".join(cost.assumed)
        print(f"  `hardware` names no accelerator for {sizes}: their jobs are priced on an h100")
