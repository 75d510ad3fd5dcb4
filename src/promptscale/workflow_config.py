"""What a run of the workflow is about: from Snakemake's files and arguments to a configuration."""

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from promptscale.config import outputs
from promptscale.config.load import merged, overlaid, read_mapping, validate
from promptscale.config.schema import Config
from promptscale.errors import ConfigError

ENVIRONMENTS = ("cpu", "gpu", "tpu")


class WorkflowConfig(NamedTuple):
    """The configuration of a run.

    Attributes:
      content: its plain data, without the keys that belong to the workflow.
      config: the experiment.
      environment: the conda environment of the jobs that compute with a model (key `environment`).
      published: the folder of published results that are drawn (key `published`); None where
        results are made.
    """

    content: dict[str, Any]
    config: Config
    environment: str
    published: Path | None


def read(
    given: Mapping[str, Any],
    files: Sequence[Path | str],
    arguments: Iterable[str],
    command_line: Sequence[str],
) -> WorkflowConfig:
    """Reads the configuration that Snakemake was given.

    Args:
      given: Snakemake's configuration, in which every value inside a list or mapping of `--config`
        is a text, and in which a repeated key was not noticed. It counts where there are no files:
        where another workflow uses this one as a module.
      files: the configuration files, the later over the earlier.
      arguments: `key=value` of `--config`.
      command_line: the words of Snakemake's command, as it does not tell the names of profiles.

    Raises:
      ConfigError, ResultsError: what was given is no configuration, or no published results.
    """
    if "published" in given:
        return _published(dict(given), files)
    profiles = [
        Path(word.removeprefix("--profile=")).name
        for option, word in itertools.pairwise(command_line)
        if option == "--profile" or word.startswith("--profile=")
    ]
    if "cached" in profiles:
        raise ConfigError(
            "--config replaces the profile's `published`, so this would train; give it as well: "
            "--config published=results/published/miniature"
        )
    start = {} if files else copy.deepcopy(dict(given))
    content = overlaid(reduce(merged, map(read_mapping, map(Path, files)), start), arguments)
    environment = _environment(content)
    config = validate(Config, content, "The configuration")
    if faults := outputs.unusable_folders(config):
        raise ConfigError("\n".join(f"The configuration: {fault}" for fault in faults))
    return WorkflowConfig(content, config, environment, None)


def _published(content: dict[str, Any], files: Sequence[Path | str]) -> WorkflowConfig:
    # Imported here, because pandas would delay every other run.
    from promptscale.reporting import bundle

    if files:
        raise ConfigError(
            f"`published` and the configuration {files[0]} are both given; published results have "
            "their own configuration, so leave one of the two out."
        )
    environment = _environment(content)
    folder = content["published"]
    if not isinstance(folder, str) or not folder.strip():
        raise ConfigError(f"`published` is {folder!r}; it must be a folder of published results.")
    if unused := sorted(content.keys() - {"published"}):
        raise ConfigError(f"`{unused[0]}` changes nothing in published results; leave it out.")
    configuration = bundle.verify(Path(folder)).configuration
    return WorkflowConfig(
        content, validate(Config, configuration, folder), environment, Path(folder)
    )


def _environment(content: dict[str, Any]) -> str:
    environment = content.pop("environment", "cpu")
    if environment not in ENVIRONMENTS:
        raise ConfigError(f"`environment` is {environment!r}; it must be cpu, gpu or tpu.")
    return environment
