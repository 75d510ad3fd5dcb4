"""Prompt tuning of frozen T5 models, after Lester, Al-Rfou and Constant (2021).

The names in `__all__` are the package's public names, which stay. The others may change.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Card", "Model", "Prompt", "__version__", "load", "load_prompt"]

# The modules of the public names. They import JAX, so they are imported when a name is used.
_MODULES = {
    "Card": "promptscale.prompting.card",
    "Model": "promptscale.prompting.model",
    "Prompt": "promptscale.prompting.prompt",
    "load": "promptscale.prompting.model",
    "load_prompt": "promptscale.prompting.prompt",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
