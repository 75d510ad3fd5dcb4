"""A bucket without rights, or one that stays closed, ends the jobs with a sentence."""

from pathlib import Path

import pytest

from promptscale.errors import TpuError
from promptscale.storage.store import Store
from promptscale.tpu.dispatcher import Dispatcher
from promptscale.tpu.environment import Environment
from promptscale.tpu.pool import Limits

from .fake_bucket import FakeBucket, bucket_environment
from .simulation import LIMITS, SMALL, World
from .test_intake import make_job
from .test_pool import DictCloud


@pytest.fixture(scope="module")
def bucket():
    """A bucket for all tests: TensorStore reads its address once."""
    made = FakeBucket()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket_environment(made).items():
            patch.setenv(name, value)
        yield made
    made.stop()


@pytest.mark.parametrize(
    ("forbidden", "sentence"),
    [
        ("list", r"The folder gs://rights/run cannot be listed, although .* right storage"),
        (
            "write",
            r"The file gs://rights/run/\S+ cannot be written: The account",
        ),
        (
            "read",
            r"The file gs://rights/run/\S+ cannot be (read|listed): The account",
        ),
    ],
)
def test_a_bucket_without_rights(bucket: FakeBucket, tmp_path: Path, forbidden, sentence):
    bucket.forbids = lambda request, name: request == forbidden
    cloud = DictCloud()
    store = Store("gs://rights/run", TpuError)
    dispatcher = Dispatcher(cloud, store, Environment("e", {"lock": b"0"}), "run", Limits())
    dispatcher.add(job := make_job(tmp_path, "job", [10]))
    dispatcher.cycle()
    assert job.ended
    with pytest.raises(TpuError, match=sentence):
        raise TpuError(job.error)
    assert not cloud.slices


@pytest.mark.parametrize(
    ("error", "seconds"),
    [("PERMISSION_DENIED: no rights.", LIMITS.heartbeat), ("UNAVAILABLE: again.", LIMITS.startup)],
)
def test_a_bucket_that_stays_closed_ends_the_jobs(tmp_path: Path, error: str, seconds: float):
    """The slices continue their attempts, which the jobs adopt if they are tried again."""
    world = World(tmp_path)
    try:
        job = world.submit("small", SMALL)
        while job.attempt is None:
            world.tick()
        start = world.now[0]
        world.begin(world.bucket.closed, "bucket", error, 1000)
        while not job.ended:
            world.tick()
        assert job.error == f"{error}\n"
        assert seconds <= world.now[0] - start <= seconds + 2 * LIMITS.interval
        world.heal()
        again = world.submit("small", SMALL)
        while not again.ended:
            world.tick()
        assert again.error is None and len(world.cloud.slices) == 1
    finally:
        world.stop()
