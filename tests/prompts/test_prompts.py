"""How prompts start, and their files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptscale import prompts
from promptscale.config.settings import PromptInitialization
from promptscale.data.vocabulary import Vocabulary
from promptscale.errors import CheckpointError

KEY = jax.random.key(7)
EMBEDDING = jax.random.normal(jax.random.key(0), (6000, 8))


def pieces(text: str) -> list[int]:
    """A stand-in tokeniser: an id per letter."""
    return [ord(letter) for letter in text]


def rows_of(prompt) -> list[int]:
    """Which embedding row each prompt row is."""
    distance = np.abs(np.asarray(prompt)[:, None] - np.asarray(EMBEDDING)[None]).max(axis=-1)
    assert np.all(distance.min(axis=1) == 0)
    return list(distance.argmin(axis=1))


def initial(method: str, length: int, labels: tuple[str, ...] = (), **settings):
    """A prompt that starts by a method."""
    settings = PromptInitialization(method=method, **settings)
    return prompts.initialize(settings, KEY, length, EMBEDDING, labels, pieces)


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (0.0, 0.5)])
def test_uniform_covers_its_range(low, high):
    drawn = np.asarray(initial("random_uniform", 800, uniform_range=(low, high)))
    assert low <= drawn.min() < low + 0.01 and high - 0.01 < drawn.max() < high


def test_sampled_vocabulary_draws_common_tokens_once():
    ids = rows_of(initial("sampled_vocab", 100))
    assert len(set(ids)) == 100 and max(ids) < 5000
    # A population of the prompt's length is used up whole: no token is drawn twice.
    assert sorted(rows_of(initial("sampled_vocab", 50, population=50))) == list(range(50))


def test_class_labels_fill_the_first_rows_with_mean_pieces():
    start = initial("class_label", 6, ("ab", "c"))
    mean = (EMBEDDING[ord("a")] + EMBEDDING[ord("b")]) / 2
    np.testing.assert_allclose(start[0], mean, rtol=1e-6)
    np.testing.assert_array_equal(start[1], EMBEDDING[ord("c")])
    np.testing.assert_array_equal(start[2:], initial("sampled_vocab", 6)[2:])


def test_a_short_prompt_takes_the_labels_that_fit():
    start = initial("class_label", 1, ("b", "c"))
    np.testing.assert_array_equal(start, EMBEDDING[ord("b")][None])


def test_text_gives_a_row_per_token():
    assert rows_of(initial("text", 2, text="xyz")) == [120, 121]
    padded = rows_of(initial("text", 5, text="xyz"))
    assert padded[:3] == [120, 121, 122] and len(padded) == 5


def test_the_prompt_stands_before_the_input_only():
    prompt, text = jnp.ones((2, 3, 8)), jnp.zeros((2, 4, 8), jnp.bfloat16)
    mask = jnp.asarray([[True] * 4, [True, False, False, False]])
    joined, shown = prompts.prepend(prompt, text, mask)
    assert joined.shape == (2, 7, 8) and joined.dtype == jnp.bfloat16
    np.testing.assert_array_equal(joined[:, :3], 1)
    np.testing.assert_array_equal(shown[1], [True] * 4 + [False] * 3)


def test_saving_and_loading(tmp_path):
    prompt = np.asarray(initial("random_uniform", 5))
    prompts.save(tmp_path / "p.npy", prompt)
    start = initial("file", 5, file=str(tmp_path / "p.npy"))
    np.testing.assert_array_equal(start, prompt)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npy"]


def test_a_wrong_prompt_file_is_a_clear_error(tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((5, 9), np.float32))
    with pytest.raises(CheckpointError, match=r"wide.npy is 5 x 9, but this run needs 5 x 8"):
        prompts.load(tmp_path / "wide.npy", (5, 8))
    with pytest.raises(CheckpointError, match=r"absent.npy is missing"):
        prompts.load(tmp_path / "absent.npy")
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object))
    (tmp_path / "text.npy").write_text("no numbers")
    for name in ("object", "text"):
        with pytest.raises(
            CheckpointError, match=f"{name}.npy is not a whole .npy file of numbers"
        ):
            prompts.load(tmp_path / f"{name}.npy")


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_a_prompt_of_any_float_type_is_read(tmp_path, dtype):
    prompt = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "p.npy", np.asfortranarray(prompt.astype(dtype)))
    loaded = prompts.load(tmp_path / "p.npy", (2, 3))
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, prompt)


def test_a_prompt_that_is_not_finite_is_refused_with_its_row(tmp_path):
    prompts.save(tmp_path / "p.npy", np.array([[0, 1], [np.nan, 2], [np.inf, 3]], np.float32))
    with pytest.raises(CheckpointError, match=r"in 2 of its 3 rows, the first in row 2"):
        prompts.load(tmp_path / "p.npy")


@pytest.mark.filterwarnings("ignore")  # of NumPy's parser, for damaged headers
def test_random_damage_to_a_prompt_file(tmp_path):
    """Any bytes give a matrix of finite numbers or a CheckpointError."""
    np.save(tmp_path / "p.npy", np.ones((4, 5), np.float32))
    content = (tmp_path / "p.npy").read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(140, size=3):
            damaged[position] = rng.integers(256)
        (tmp_path / "p.npy").write_bytes(damaged)
        try:
            assert np.isfinite(prompts.load(tmp_path / "p.npy", (4, 5))).all()
        except CheckpointError:
            refused += 1
    assert refused > 100


def test_a_start_without_rows_in_the_embedding_is_refused():
    with pytest.raises(CheckpointError, match=r"'~' .* has the token id 6000, .* has 6000 rows"):
        prompts.initialize(PromptInitialization(), KEY, 3, EMBEDDING, ["~"], lambda _: [6000])
    text = PromptInitialization(method="text", text="~")
    with pytest.raises(CheckpointError, match=r"'~' .* has no tokens"):
        prompts.initialize(text, KEY, 3, EMBEDDING, [], lambda _: [])


def test_the_authors_published_prompts_load(shared):
    folder = shared / "data/prompt-tuning/pretrained_prompts/t5_1_1_lm100k_base"
    for path in sorted(folder.glob("*.npy")):
        prompt = prompts.load(path, (100, 768))
        assert prompt.dtype == np.float32 and 30 < prompt.std() < 60  # facts, section 8


def test_real_class_labels_are_embedded_piece_by_piece(shared):
    """On the real vocabulary `not_entailment` is several pieces, and its row is their mean."""
    vocabulary = Vocabulary(shared / "data/prompt-tuning/test_data/t5_vocab")
    embedding = jnp.asarray(
        np.load(shared / "data/prompt-tuning/test_data/tiny_embeddings_32128x4.npy")
    )
    ids = vocabulary.encode("not_entailment")
    assert len(ids) > 1
    settings = PromptInitialization()
    start = prompts.initialize(
        settings, KEY, 100, embedding, ["entailment", "not_entailment"], vocabulary.encode
    )
    expected = np.asarray(embedding)[ids].mean(axis=0)
    np.testing.assert_allclose(start[1], expected, rtol=1e-5)
