"""How fast a training is: examples, tokens and operations per second."""

from typing import NamedTuple

from promptscale.data.microbatches import Work


class Throughput(NamedTuple):
    """The work of some steps and the seconds that they took, without compilation."""

    work: Work
    seconds: float
    peak_flops: float = 0.0  # of all devices per second; 0: not known

    @property
    def rates(self) -> dict[str, float]:
        """The rates by name; tokens are the positions of prompts, inputs and targets."""
        work, seconds = self.work, max(self.seconds, 1e-9)
        rates = {
            "examples_per_second": work.examples / seconds,
            "tokens_per_second": work.positions / seconds,
            "padding": 1 - work.positions / max(work.computed, 1),
            "flops_per_second": work.flops / seconds,
        }
        if self.peak_flops:
            rates["share_of_peak"] = rates["flops_per_second"] / self.peak_flops
        return rates

    def __str__(self) -> str:
        """Names the rates."""
        rates = self.rates
        share = f" ({rates['share_of_peak']:.1%} of the peak)" if self.peak_flops else ""
        return (
            f"{rates['examples_per_second']:,.1f} examples/s, "
            f"{rates['tokens_per_second']:,.0f} tokens/s ({rates['padding']:.0%} of positions are "
            "padding), "
            f"{rates['flops_per_second'] / 1e12:.3g} TFLOP/s{share}"
        )
