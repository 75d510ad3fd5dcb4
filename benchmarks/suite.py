"""Which comparisons are made on a CPU and on a GPU, the most important first.

Shapes are written as `8 x 512/62`: 8 examples, 512 input and 62 target positions.
"""

import dataclasses
from collections.abc import Iterator

from benchmarks.cases import Case, generated_batch
from benchmarks.harness import OURS, Comparison, Variant
from benchmarks.superglue import Examples, sample
from promptscale.config.sizes import model_config

# Inputs of a batch whose lengths are like SuperGLUE's: 60 to 310 tokens, 170 on average.
SUPERGLUE_LIKE = (60, 90, 120, 150, 170, 200, 260, 310)
MINIATURE = "mini-base"
Batch = dict[str, list[list[int]]]


@dataclasses.dataclass(frozen=True)
class Material:
    """What the comparisons work on: SuperGLUE's examples by task, and the weights of T5 1.1 Small.

    Where `weights` is empty, weights are random.
    """

    tasks: dict[str, Examples]
    weights: str
    cores: int


def case(name: str, material: Material, batches: list[list[Batch]], **changes: object) -> Case:
    """A case of T5 1.1 Small, or of the `size` among the changes."""
    size = str(changes.get("size", "small"))
    values: dict = {
        "weights": material.weights if size == "small" else "",
        "cores": material.cores,
        "architecture": dataclasses.asdict(model_config(size)),
        "batches": batches,
        **changes,
    }
    return Case(name=name, **values)


def against_peft(work: Case, dtypes: tuple[str, ...], full: bool = False) -> dict[str, Variant]:
    """The variants that do a case: ours, PEFT eager and compiled, and our full fine-tuning."""
    variants = {}
    for dtype in dtypes:
        short = "" if dtype == "float32" else f" {dtype}"
        typed = dataclasses.replace(work, dtype=dtype)
        compiled = dataclasses.replace(typed, compiled=True)
        variants[f"{OURS}{short}"] = Variant("ours", typed)
        variants[f"PEFT eager{short}"] = Variant("peer", typed)
        variants[f"PEFT compiled{short}"] = Variant("peer", compiled)
    if full:
        tuned = dataclasses.replace(work, mode="full", dtype="float32")
        variants[f"{OURS} full fine-tuning"] = Variant("ours", tuned)
    return variants


def on_cpu(material: Material) -> Iterator[Comparison]:
    """The comparisons on a CPU; those of many runs' whole processes are `lifetimes`."""
    both = ("float32", "bfloat16")
    for dtype in both:
        product = case("product", material, [], mode="matmul", matmul=(4096, 2048, 2048),
                       repeats=4, dtype=dtype)  # fmt: skip
        yield Comparison(
            name=f"product-{dtype}",
            title=f"matrix product 4096 x 2048 x 2048, {dtype}",
            variants={OURS: Variant("ours", product), "torch": Variant("peer", product)},
        )
    steps = {
        "superglue": ("8 x SuperGLUE-like lengths/8", [(n, 8) for n in SUPERGLUE_LIKE], both),
        "dense": ("8 x 512/62", [(512, 62)] * 8, both),
        "short": ("16 x 128/8", [(128, 8)] * 16, ("float32",)),
    }
    for name, (title, lengths, dtypes) in steps.items():
        work = case(name, material, [[generated_batch(lengths)]])
        yield Comparison(
            name=f"step-{name}",
            title=f"a step, {title}",
            variants=against_peft(work, dtypes, full=name == "dense"),
            repetitions=3 if name == "dense" else 5,
        )
    boolq = case("boolq", material, [[sample(material.tasks["boolq"], 32)]])
    yield Comparison(
        name="step-boolq",
        title="a step, 32 examples of BoolQ",
        variants=against_peft(boolq, ("float32",)),
        repetitions=3,
    )
    answers = sample(material.tasks["boolq"], 64)
    decode = case("decode", material, [[answers]], mode="decode", decode_length=8)
    yield Comparison(
        name="decode",
        title="greedy decoding, 64 dev examples of BoolQ, at most 8 tokens",
        variants={OURS: Variant("ours", decode), "PEFT generate": Variant("peer", decode)},
        repetitions=3,
    )
    mixed = [[sample(examples, 8)] for examples in material.tasks.values()]
    eager = Variant("peer", case("mixed", material, mixed))
    yield Comparison(
        name="epoch",
        title="eight steps, 8 examples of each SuperGLUE task",
        variants={OURS: Variant("ours", eager.case), "PEFT eager": eager},
        repetitions=3,
    )
    for runs in (1, 3, 8, 24):
        yield _together("small", runs, material, "small", [(n, 8) for n in SUPERGLUE_LIKE[::2]])
        yield _together("mini", runs, material, MINIATURE, [(32, 4)] * 16)
    yield from _growth(material)


def _together(
    name: str, runs: int, material: Material, size: str, lengths: list[tuple[int, int]]
) -> Comparison:
    """A step of N runs in a process, against N steps of a run in another process."""
    miniature = size == MINIATURE
    changes = {"size": size, "prompt_length": 20 if miniature else 100}
    words = 500 if miniature else 30_000
    batches = [generated_batch(lengths, seed, words) for seed in range(runs)]
    steps = 10 if miniature else 1
    together = case("together", material, [batches] * steps, **changes)
    separate = case("separate", material, [[batch] for batch in batches] * steps, **changes)
    return Comparison(
        name=f"runs-{name}-{runs}",
        title=f"{steps} step(s) of {runs} run(s), {len(lengths)} examples each, {size}",
        variants={OURS: Variant("ours", together), "one after another": Variant("ours", separate)},
        repetitions=1 if runs > 8 and not miniature else 3,
    )


def _growth(material: Material) -> Iterator[Comparison]:
    """Our step against the number of examples, and the lengths of inputs and of the prompt."""
    base = {"examples": 8, "inputs": 128, "prompt": 100}
    points = {"examples": (2, 4, 8, 16), "inputs": (64, 256, 512), "prompt": (1, 20, 200)}
    for varied, values in points.items():
        for value in values:
            sides = {**base, varied: value}
            batch = generated_batch([(sides["inputs"], 8)] * sides["examples"])
            work = case(varied, material, [[batch]], prompt_length=sides["prompt"])
            yield Comparison(
                name=f"growth-{varied}-{value}",
                title=f"{sides['examples']} x {sides['inputs']}/8, prompt {sides['prompt']}",
                variants={OURS: Variant("ours", work)},
                repetitions=3,
            )


def lifetimes(material: Material, runs: int, steps: int = 50) -> dict[str, list[Variant]]:
    """Processes of the miniature's size: N runs in one, and one in each of N."""
    batches = [generated_batch([(32, 4)] * 16, seed, 500) for seed in range(runs)]
    changes = {"size": MINIATURE, "prompt_length": 20}
    whole = case("life", material, [batches] * steps, **changes)
    alone = [
        case("life", material, [[batch]] * steps, **{**changes, "cores": 1}) for batch in batches
    ]
    return {
        "together": [Variant("ours", whole)],
        "separate": [Variant("ours", work) for work in alone],
    }


def on_gpu(material: Material, sizes: tuple[str, ...]) -> Iterator[Comparison]:
    """The comparisons on a GPU: bfloat16, 32 examples a run, ten steps a repetition."""
    tiny = all(model_config(size).d_model < 128 for size in sizes)  # a trial on a CPU
    side = 256 if tiny else 8192
    product = case("product", material, [], mode="matmul", matmul=(side, side, side),
                   repeats=10, dtype="bfloat16")  # fmt: skip
    yield Comparison(
        name="product-bfloat16",
        title=f"matrix product {side} x {side} x {side}, bfloat16",
        variants={OURS: Variant("ours", product), "torch": Variant("peer", product)},
    )
    count, words = (4, 500) if tiny else (32, 30_000)
    shapes = {
        "superglue": [(SUPERGLUE_LIKE[i % 8], 8) for i in range(count)],
        "dense": [(512, 62)] * count,
    }
    plan = [(size, "superglue", 1) for size in sizes]
    plan += [(size, "superglue", 3) for size in sizes[:2]]
    plan += [(size, "superglue", 24) for size in sizes[:1]]
    plan += [(size, "dense", 1) for size in sizes]
    for size, shape, runs in plan:
        batch = [generated_batch(shapes[shape], seed, words) for seed in range(runs)]
        work = case(shape, material, [batch] * 10, size=size, dtype="bfloat16", weights="")
        variants = {OURS: Variant("ours", work)}
        if runs <= 3:  # PEFT takes a step for each run, one after another
            variants["PEFT eager"] = Variant("peer", work)
        yield Comparison(
            name=f"gpu-{shape}-{size}-{runs}",
            title=f"ten steps, {size}, {runs} run(s), {count} x {shape} lengths",
            variants=variants,
            repetitions=3,
            alternating=size != "xxl",  # a GPU of 140 GB does not hold two
        )
