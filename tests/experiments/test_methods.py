"""A further adaptation method is a job and a class: here, tuning the scales of the norms alone."""

import dataclasses
from typing import ClassVar, Literal

import jax
import numpy as np
import pandas as pd
import pytest
from flax import traverse_util
from safetensors.numpy import load_file, save_file

from promptscale.checkpoints.sharded import load_model
from promptscale.config.jobs import TuningJob
from promptscale.config.settings import ModelTuning
from promptscale.experiments import tuning
from promptscale.reporting import runs_table
from promptscale.training import methods
from tests.distributed import site


class NormTuningJob(TuningJob):
    method: Literal["norm_tuning"] = "norm_tuning"
    settings: ModelTuning
    gradient: ClassVar[Literal["inputs", "weights"]] = "inputs"

    @property
    def trained_parameters(self) -> int:
        layers = 2 * self.architecture.num_encoder_layers + 3 * self.architecture.num_decoder_layers
        return (layers + 2) * self.architecture.d_model


class NormTuning(methods.Method):
    def start(self, location, devices):
        checkpoint = load_model(location, self.job.architecture, devices)
        scales = {
            name: np.stack([leaf] * len(self.job.runs))
            for name, leaf in checkpoint.params.items()
            if name.endswith("scale")
        }
        return methods.Start(devices.replicate(scales), checkpoint.params, checkpoint.step)

    @staticmethod
    def for_inference(trainable, frozen):
        return traverse_util.unflatten_dict({**frozen, **trainable}, sep="/"), None

    def save(self, trainable, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(jax.tree.map(np.asarray, trainable), path.with_suffix(".safetensors"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return site.make(tmp_path_factory.mktemp("site"))


def files(folder, out) -> tuning.Files:
    return dataclasses.replace(
        site.files(folder, out, "norm_tuning"), prompts=out / "scales", state=str(out / "state")
    )


class _KilledError(Exception):
    """Stands for the machine that goes away."""


def test_a_further_method_trains_selects_its_best_step_and_resumes(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(methods.METHODS, "norm_tuning", NormTuning)
    monkeypatch.setattr(runs_table, "METHODS", (*runs_table.METHODS, "norm_tuning"))
    common = site.job("model_tuning", steps=6, save_every=1).model_dump(exclude={"method"})
    job = NormTuningJob(**common)
    tuning.run(job, files(folder, tmp_path / "whole"))
    metrics = pd.read_csv(tmp_path / "whole/metrics.csv")
    assert metrics[metrics["selected"]].groupby("run")["step"].nunique().eq(1).all()
    assert len(metrics["run"].unique()) == 2 and set(metrics["step"]) == {2, 4, 6}

    with monkeypatch.context() as killed:
        make = tuning.batches

        def dying(*arguments, **options):
            batch = make(*arguments, **options)

            def die_at_step_3(step):
                if step == 3:
                    raise _KilledError
                return batch(step)

            return die_at_step_3

        killed.setattr(tuning, "batches", dying)
        with pytest.raises(_KilledError):
            tuning.run(job, files(folder, tmp_path / "killed"))
    assert not (tmp_path / "killed/metrics.csv").exists()
    tuning.run(job, files(folder, tmp_path / "killed"))

    for seed in site.SEEDS:
        whole, resumed = (load_file(tmp_path / out / f"scales/{site.TASK}/seed_{seed}.safetensors")
                          for out in ("whole", "killed"))  # fmt: skip
        assert sum(leaf.size for leaf in whole.values()) == job.trained_parameters
        assert any(np.any(leaf != 1) for leaf in whole.values())
        jax.tree.map(np.testing.assert_array_equal, whole, resumed)
