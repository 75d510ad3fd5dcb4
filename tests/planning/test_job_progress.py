"""How far a job is, from events made by hand."""

import pytest

from promptscale.planning.job_progress import LOST_SECONDS, duration, job_progress

NOW = 1000.0


def line(time: float, event: str, **fields) -> dict:
    return {"event": event, "time": time, **fields}


STARTED = line(100.0, "started", attempt=1, host="a", rule="tune")
JOB = line(101.0, "job", runs=["r/0", "r/1"], steps=100, devices=4)


def steps(*pairs: tuple[float, int], loss: float = 2.0) -> list[dict]:
    return [
        line(time, "step", step=step, steps=100, loss=loss, examples_per_second=8.0)
        for time, step in pairs
    ]


def test_a_running_job_says_how_fast_it_is_and_when_it_will_end():
    progress = job_progress([STARTED, JOB, *steps((200.0, 10), (400.0, 30))], now=410.0)
    assert (progress.state, progress.step, progress.steps, progress.loss) == ("running", 30, 100, 2)
    assert progress.seconds_left == 700.0 - 10.0  # ten seconds a step, the last ten seconds ago
    assert (progress.seconds, progress.devices, progress.done) == (300.0, 4, 0.3)
    assert str(progress) == "step 30 of 100, loss 2, 8 examples/s, 12 min left"


def test_the_dev_score_is_the_mean_over_runs_and_tasks_at_their_last_evaluation():
    def scores(time: float, run: int, *values: float) -> dict:
        tasks = {str(n): {"score": value, "accuracy": 0.0} for n, value in enumerate(values)}
        return line(time, "scores", step=10, run=run, scores=tasks)

    events = [
        STARTED,
        JOB,
        scores(200.0, 0, 10, 10),
        scores(300.0, 0, 40, 60),
        scores(300.0, 1, 70),
    ]
    assert job_progress(events, NOW).score == 60.0


def test_a_resumed_job_counts_the_time_of_both_attempts_and_the_speed_of_the_last():
    """The first was killed at step 50 after 400 s; the second resumed at step 40."""
    second = [
        line(600.0, "started", attempt=2, host="b"), line(610.0, "resuming", step=40, steps=100),
    ]  # fmt: skip
    events = [STARTED, JOB, *steps((500.0, 50)), *second]
    progress = job_progress(events, now=610.0)
    assert (progress.attempts, progress.seconds, progress.host) == (2, 410.0, "b")
    assert (progress.step, progress.seconds_left, progress.doing) == (40, None, "starting")
    progress = job_progress([*events, *steps((615.0, 50))], now=615.0)
    assert progress.seconds_left == 25.0


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (line(300.0, "compiling", program="update"), "compiling update"),
        (line(300.0, "loading", checkpoint="gs://b/c"), "loading gs://b/c"),
        (line(300.0, "preparing", what="cb/train", done=7000), "preparing cb/train, 7,000 so far"),
        (line(300.0, "evaluating", step=0), "evaluating"),
        (line(300.0, "answering", done=3, of=9), "evaluating, 3 of 9 micro-batches"),
    ],
)
def test_what_a_job_does_is_known_while_it_takes_no_steps(last, words):
    alive = line(320.0, "alive")
    for events in ([STARTED, last], [STARTED, last, alive]):
        progress = job_progress(events, now=330.0)
        assert (progress.state, progress.doing) == ("running", words)


def test_a_job_without_a_sign_of_life_is_lost_and_its_end_is_not():
    events = [STARTED, JOB, *steps((200.0, 10))]
    assert job_progress(events, 200.0 + LOST_SECONDS).state == "running"
    assert job_progress(events, 201.0 + LOST_SECONDS).state == "lost"
    failed = line(210.0, "failed", error="tune: The data are bad.")
    progress = job_progress([*events, failed], NOW)
    assert (progress.state, progress.error) == ("failed", "tune: The data are bad.")
    progress = job_progress([*events, line(210.0, "finished")], NOW)
    assert (progress.state, progress.done, progress.seconds) == ("finished", 1.0, 110.0)
    assert job_progress([], NOW) is None


def test_a_diverged_run_does_not_turn_the_steps_back():
    scores = line(210.0, "scores", step=3, run=0, scores={})
    diverged = line(210.0, "diverged", step=4, run=0)
    progress = job_progress([STARTED, JOB, *steps((200.0, 10)), diverged, scores], 211.0)
    assert progress.step == 10


def test_evaluations_of_text_prompts_are_counted_by_runs():
    job = line(101.0, "job", runs=["a", "b", "c", "d"], steps=0)
    score = line(110.0, "scores", step=0, run=0, scores={"cb": {"score": 50.0}})
    assert job_progress([STARTED, job, score], 111.0).done == 0.25
    failed = line(112.0, "failed", error="E")
    again = [line(120.0, "started"), line(121.0, "job", runs=["a", "b", "c", "d"], steps=0)]
    assert job_progress([STARTED, job, score, failed, *again], 122.0).done == 0.0


def test_times_in_words():
    shown = [duration(seconds) for seconds in (0.0, 89.0, 90.0, 5399.0, 7200.0, 3.6e6)]
    assert shown == ["0 s", "89 s", "2 min", "90 min", "2.0 h", "1,000.0 h"]
