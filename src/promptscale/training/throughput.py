"""How fast a training is: examples, tokens and operations per second."""

from typing import NamedTuple

from promptscale.data.microbatches import Work


class Throughput(NamedTuple):
    """The work of some steps and the seconds that they took, without compilation."""

    work: Work
    seconds: float
    peak_flops: float = 0.0  # of all devices per second; 0: not known

    def __str__(self) -> str:
        """Names the rates; tokens are the positions of prompts, inputs and targets."""
        work, seconds = self.work, max(self.seconds, 1e-9)
        padding = 1 - work.positions / max(work.computed, 1)
        rate = work.flops / seconds
        share = f" ({rate / self.peak_flops:.1%} of the peak)" if self.peak_flops else ""
        return (
            f"{work.examples / seconds:,.1f} examples/s, {work.positions / seconds:,.0f} tokens/s "
            f"({padding:.0%} padding besides), {rate / 1e12:.3g} TFLOP/s{share}"
        )
