"""What devices compute at a time by default."""

import pytest

from promptscale.config.sizes import model_config
from promptscale.distributed.mesh import Devices, Layout


def on(platform: str, monkeypatch: pytest.MonkeyPatch, budget: int = 0) -> Devices:
    """The devices of this machine, taken for those of another platform."""
    devices = Devices(Layout(token_budget=budget))
    monkeypatch.setattr(devices, "_platform", platform)
    return devices


def test_a_larger_model_has_fewer_positions_at_a_time(monkeypatch):
    """As many times as it is wider; a CPU's cache and the user's budget are the same for all."""
    widths = [model_config(size).d_model for size in ("small", "xxl")]
    small, xxl = map(on("gpu", monkeypatch).token_budget, widths)
    assert (small, xxl) == (32_768, 4_096)
    assert len(set(map(on("cpu", monkeypatch).token_budget, widths))) == 1
    assert set(map(on("gpu", monkeypatch, budget=100).token_budget, widths)) == {100}


def test_a_program_costs_the_time_and_not_the_positions(monkeypatch):
    """Any model compiles in about the same time, in which a small one computes more positions."""
    for platform in ("cpu", "gpu"):
        devices = on(platform, monkeypatch)
        assert devices.compilation(flops=1e8) == pytest.approx(
            100 * devices.compilation(flops=1e10)
        )


def test_on_a_cpu_tiny_models_compile_faster(monkeypatch):
    """The time that their programs take is at most that of 2^17 positions."""
    assert on("cpu", monkeypatch).compilation(flops=1e5) == 2**17
