"""What outputs that are no label look like (section 3, "Pre-training Objective").

The paper names copied parts of the input and the empty string as the most common errors of prompts
on span corruption.
"""

import re

from promptscale.config.tasks import Task
from promptscale.evaluation.metrics import INVALID, class_id

_SENTINEL = re.compile(r"<extra_id_\d+>")


def error_mode(task: Task, prediction: str, inputs: str) -> str:
    """The mode of a prediction for the text `inputs`, of a task with labels.

    Returns:
      `label`: a label of the task, right or wrong; `empty`: no text; `sentinel`: a text with a
      sentinel of span corruption; `copy`: whole words that stand in the input in this order;
      `other`: any other text. The first that applies counts.
    """
    if class_id(task, prediction) != INVALID:
        return "label"
    text = " ".join(prediction.split())
    if not text:
        return "empty"
    if _SENTINEL.search(text):
        return "sentinel"
    copied = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", " ".join(inputs.split()))
    return "copy" if copied else "other"
