"""What a job asks of the machine that it runs on: memory, time, and its part of an accelerator.

Snakemake hands these resources to a scheduler. They change no result, so a change of them reruns
nothing.
"""

from promptscale.config.accelerators import accelerators
from promptscale.config.jobs import AnyJob, LanguageModelingJob
from promptscale.config.schema import Config
from promptscale.planning import costs

# Models with fewer parameters are small. Their jobs run side by side on a machine, a core each; the
# job of a larger model gets all cores.
SMALL = 20_000_000
_BASE_MB = 8_000  # Python, JAX, compiled programs and the prepared data
_SMALL_BASE_MB = 2_000  # of a small model's job; the miniature's jobs need less than 1,000
_FLOAT = 4  # bytes of a float32
_GPU = "h100"  # the machine that a time limit assumes where the configuration names no GPU
_SLOWDOWN = 2  # a time limit over the estimated time
_SHORTEST, _LONGEST = 240, 1_440  # minutes of a time limit


def job_resources(config: Config, job: AnyJob | LanguageModelingJob) -> dict[str, int | str]:
    """Lists the resources of a job that trains or evaluates a model.

    `tpu_type` is empty and `tpu_chips` is 0 where `hardware` names no TPU for the job's size;
    `token_budget` is 0 where the default holds. `peak_tflops` is that of all devices, and 0 where
    `hardware` names no machine. `mem_mb` and `runtime` are those
    of `memory_mb` and `runtime_minutes`.
    """
    hardware = config.hardware.get(job.size)
    machine = accelerators()[hardware.accelerator] if hardware else None
    tpu = machine if machine and machine.kind == "tpu" else None
    return {
        "tpu_type": hardware.accelerator if hardware and tpu else "",
        "tpu_chips": tpu.chips if tpu else 0,
        "model_axis": hardware.model_axis if hardware else 1,
        "token_budget": (hardware.token_budget or 0) if hardware else 0,
        "peak_tflops": round(machine.devices * machine.peak_tflops) if machine else 0,
        "mem_mb": memory_mb(config, job),
        "runtime": runtime_minutes(config, job),
    }


def memory_mb(config: Config, job: AnyJob | LanguageModelingJob) -> int:
    """The upper bound of the main memory that a job needs, in MB (10^6 bytes).

    base + 2 x 4 bytes x parameters of the model + bytes of the job's two saved states: the model
    as it is read and as it is placed, and everything that is trained with its gradient, its best
    step and a copy on its way to the disk. The base is 8 GB, and 2 GB for small models. Activations
    count where the model runs on the CPU; there the models are small, and the base covers them.
    """
    base = _BASE_MB if job.architecture.num_parameters > SMALL else _SMALL_BASE_MB
    model = 2 * _FLOAT * job.architecture.num_parameters
    return base + round((model + costs.state_bytes(job)) / 1e6)


def runtime_minutes(config: Config, job: AnyJob | LanguageModelingJob) -> int:
    """The time limit of a job in minutes: min(1440, max(240, 2 x estimated time)).

    The estimate is for the GPU that `hardware` names for the job's size, else for an H100: jobs on
    TPU slices have no time limit, and a CPU trains only models for which 240 minutes are long. A
    job that the limit of a day ends continues from its saved state when it is submitted again.
    """
    hardware = config.hardware.get(job.size)
    on_gpu = hardware and accelerators()[hardware.accelerator].kind == "gpu"
    accelerator = hardware.accelerator if hardware and on_gpu else _GPU
    hours = costs.job_cost(config, job, accelerator).hours
    return min(_LONGEST, max(_SHORTEST, round(_SLOWDOWN * 60 * hours)))
