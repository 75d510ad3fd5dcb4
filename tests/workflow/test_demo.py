"""`make demo` names files that its configuration makes."""

import re
import subprocess
from pathlib import Path

from promptscale.config import grid, outputs
from promptscale.config.load import load_config

REPOSITORY = Path(__file__).parents[2]


def test_the_demo_answers_with_a_prompt_that_it_tunes():
    command = ["make", "--dry-run", "--no-print-directory", "demo"]
    lines = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    config = load_config(REPOSITORY / "config/demo.yaml")
    (predict,) = re.findall(r"^head .*\|.*\n.*\n.*", lines.stdout, re.MULTILINE)
    job, task = re.search(
        r"--prompt results/demo/runs/(\S+)/prompts/(\w+)/seed_0.npy", predict
    ).groups()
    assert task in grid.all_jobs(config)[job].tasks
    size, checkpoint = re.search(r"--checkpoint results/demo/models/(\S+)/(\S+)/", predict).groups()
    assert (size, checkpoint) in outputs.trained_checkpoints(config)
    assert f"/{size}/{checkpoint}/" in job
    assert f"--vocabulary {outputs.vocabulary(config)}" in predict
