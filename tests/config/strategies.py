"""Configurations that Hypothesis draws from the schema: lists, optional sections, odd legal values.

A key's values follow from its type. `_names` replaces the types of keys that name something.
"""

import dataclasses
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic import BaseModel

from promptscale.config.axes import AXES
from promptscale.config.rules import TRAINABLE
from promptscale.config.schema import Config
from promptscale.config.settings import UnadaptedObjective
from promptscale.config.sizes import ModelConfig
from promptscale.config.tasks import MRQA, SUPER_GLUE

Names = dict[str, st.SearchStrategy]  # by the end of a key's path
_SIZES = ("mini-small", "mini-base", "mini-large")


def of_type(kind: Any, path: str, names: Names) -> st.SearchStrategy:
    """Values of a type; `path` is the dotted path of their key."""
    for end, strategy in names.items():
        if path == end or path.endswith(f".{end}"):
            return strategy
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:], path, names)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*(of_type(part, path, names) for part in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(of_type(arguments[0], path, names), min_size=1, max_size=3, unique=True)
    if origin is tuple:
        return st.tuples(*(of_type(part, path, names) for part in arguments)).map(sorted)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return of_model(kind, path, names)
    return {
        int: st.integers(1, 3), float: st.sampled_from([0.5, 0.25]), bool: st.booleans(),
        type(None): st.none(),
    }[kind]  # fmt: skip


def of_model(model: type[BaseModel], path: str, names: Names) -> st.SearchStrategy:
    """Mappings with the required keys of a section and some of the others."""
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        kind = Annotated[kind, *field.metadata] if field.metadata else kind
        keys = required if field.is_required() else optional
        keys[name] = of_type(kind, f"{path}.{name}".lstrip("."), names)
    return st.fixed_dictionaries(required, optional=optional)


def _annotated(kind: Any, metadata: tuple, path: str, names: Names) -> st.SearchStrategy:
    if kind not in (int, float):
        return of_type(kind, path, names)
    parts = [part for item in metadata for part in getattr(item, "metadata", [item])]
    low = max([part.ge for part in parts if isinstance(part, annotated_types.Ge)], default=0)
    if kind is int:
        return st.sampled_from([low, low + 1, low + 2, low + 5])
    return st.sampled_from([0.25, 0.5, 0.003])


_ARCHITECTURE = st.builds(
    lambda **fields: dataclasses.asdict(ModelConfig(**fields)),
    d_model=st.sampled_from([4, 6]), d_ff=st.sampled_from([5, 8]),
    num_encoder_layers=st.integers(1, 2), num_decoder_layers=st.integers(1, 2),
    num_heads=st.integers(1, 3), head_dim=st.integers(1, 4), vocab_size=st.just(512),
    relative_attention_num_buckets=st.sampled_from([4, 5]),
    relative_attention_max_distance=st.sampled_from([3, 8]),
)  # fmt: skip
_LABELS = ("Miniature", "T5 {1.1}", "$x^{ & 100 % _", "Größe 1", "a$b$c\\frac")
_TASKS = st.one_of(
    st.lists(st.sampled_from(TRAINABLE), min_size=1, max_size=3, unique=True),
    st.just(list(SUPER_GLUE)),
    st.permutations(SUPER_GLUE),
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Plain configurations on generated data; about half of them are valid."""
    own = draw(st.dictionaries(st.sampled_from(["half", "a.b-c_1"]), _ARCHITECTURE, max_size=2))
    sizes = draw(st.lists(st.sampled_from([*_SIZES, *own]), min_size=1, max_size=3, unique=True))
    tasks = draw(_TASKS)
    adaptations = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2, unique=True))
    checkpoints = ["span_corruption", *(f"lm_{steps}" for steps in adaptations)]
    seeds = draw(
        st.lists(st.sampled_from([0, 1, 7, 2**31 - 1]), min_size=1, max_size=3, unique=True)
    )
    pretraining_seeds = draw(st.sampled_from([[0], [4], [0, 7]]))[: len(seeds)]
    of_sizes = st.lists(st.sampled_from(sizes), min_size=1, unique=True)
    transfers = st.fixed_dictionaries({}, optional={
        "squad": st.sampled_from([list(MRQA), ["drop"]]), "mrpc": st.just(["qqp"]),
        "qqp": st.just(["mrpc"]), tasks[0]: st.sampled_from([["race"], ["duorc", "re"]]),
    }).filter(bool)  # fmt: skip
    values = {
        "pretraining_objective": st.sampled_from(get_args(UnadaptedObjective)),
        "initialization": st.sampled_from(
            ["class_label", "sampled_vocab", "random_uniform", "text"]
        ),
        "lm_adaptation_steps": st.sampled_from([0, *adaptations]),
        "prompt_length": st.sampled_from([1, 2, 3, 5, 8, 13, 21, 34]),
    }
    ablations = st.fixed_dictionaries({}, optional={
        axis: st.lists(values[axis], min_size=1, max_size=8, unique=True) for axis in AXES
    })  # fmt: skip
    names: Names = {
        "origin": st.just("generated"),
        "label": st.sampled_from(_LABELS),
        "paths": st.sampled_from([{}, {"results": "out put/é", "figures": "figs'"}]),
        "architectures": st.just(own),
        "hyperparameter_search.size": st.sampled_from(sizes),
        "published_prompts.size": st.sampled_from(sizes),
        "published_prompts.folder": st.just("prompts"),
        "sizes": st.just(sizes),
        "domain_shift.sizes": of_sizes,
        "ensembles.sizes": of_sizes,
        "ensembles.seeds": st.just([*seeds[:: len(pretraining_seeds)], 11]),
        "pretraining_seeds": st.just(pretraining_seeds),
        "seeds": st.just(seeds),
        "tasks": st.just(tasks),
        "convergence.task": st.sampled_from(tasks),
        "evaluate_on": transfers,
        "data": st.fixed_dictionaries(
            {"generated": st.just(True)},
            optional={
                "corpus_shards": st.just(2), "corpus_shards_used": st.integers(1, 2),
                "seed": st.integers(0, 3),
            },
        ),
        "checkpoints": st.just({
            "span_corruption": "train", "lm_adaptation": dict.fromkeys(adaptations, "train"),
            "span_corruption_continued": dict.fromkeys(adaptations, "train"),
        }),
        "default_checkpoint": st.sampled_from(checkpoints),
        "model_tuning.checkpoint": st.sampled_from(checkpoints),
        "multitask_tuning.checkpoint": st.sampled_from(checkpoints),
        "auxiliary": st.lists(st.sampled_from(TRAINABLE), max_size=2, unique=True),
        "ablations": ablations,
        "initialization.text": st.sampled_from(["", "two words"]),
        "initialization.file": st.just(""),
        "separator": st.sampled_from([".", " ?"]),
        "inputs_length": st.sampled_from([10, 40]),
        "schedule": st.sampled_from(["constant", "rsqrt"]),
        "step_offset": st.just("checkpoint"),
        "warmup_steps": st.just(0),
        "learning_rate": st.just(0.01),
        "space.learning_rate": st.sampled_from([[0.01, 1], [0.0012345, 0.0012346]]),
        "decay_factor": st.none(),
        "space.decay_factor": st.sampled_from([[None], [None, 0.5]]),
        "optimizer.steps_per_decay": st.just(1),
        "batch_size": st.sampled_from([1, 2, 4]),
        "space.batch_size": st.sampled_from([[2], [2, 4]]),
        "hardware": st.dictionaries(
            st.sampled_from(sizes), st.sampled_from([{"accelerator": "v2-8"}, {
                "accelerator": "h100", "token_budget": 100}]), max_size=2),
    }  # fmt: skip
    content = draw(of_model(Config, "", names))
    for section in ("pretraining", "lm_adaptation"):  # without them little is accepted
        if content.get(section) is None:
            content[section] = {"batch_size": 2, "optimizer": {"learning_rate": 0.01}}
            content[section] |= {"steps": 1} if section == "pretraining" else {}
    return content
