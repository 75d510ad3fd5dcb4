"""Dropout as in T5X, with masks that are drawn for a whole tower at once.

A mask is a function of the example's key and of its place in the model. It depends neither on the
other examples of the batch nor on the padding. If each of the 84 places of T5 1.1 Small drew by
itself, XLA would compile a generator of random bits for each: a training step would compile in five
times the time on a GPU. Letters: B batch, S positions, H heads, K head_dim, D width.
"""

import collections
import zlib
from collections.abc import Mapping
from typing import TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray, UInt

DropoutKeys: TypeAlias = Key[Array, " B"] | None  # a key for each example; None: no dropout
Places: TypeAlias = dict[str, tuple[int, ...]]  # the shape of an example's mask by place
Masks: TypeAlias = Mapping[str, Bool[Array, "B ..."]] | None  # by place; true where a value stays


def draw_masks(keys: DropoutKeys, rate: float, places: Places) -> Masks:
    """The masks of all `places`, by the path of their module; None where nothing is dropped.

    The values of `places` are the shapes of an example's mask: (width,) for `Dropout`, and
    (positions, heads) for `Dropout.rows`. Positions come first, so that padding changes no earlier
    position's mask.
    """
    if keys is None or not rate:
        return None
    by_shape = collections.defaultdict(list)
    for place, shape in places.items():
        by_shape[shape].append(place)
    masks: dict[str, Array] = {}
    for shape, names in by_shape.items():

        def draw(number: UInt[Array, ""], key: PRNGKeyArray, shape=shape) -> Bool[Array, "..."]:
            return jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, shape)

        numbers = np.array([zlib.crc32(name.encode()) for name in names], np.uint32)
        drawn = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(numbers, keys)
        masks |= zip(names, drawn, strict=True)
    return masks


class Dropout(nn.Module):
    """Drops the values that its mask hides, and scales the others; without masks it does nothing.

    Its mask is that of its path in the model.
    """

    rate: float

    def __call__(self, x: Float[Array, "B S D"], masks: Masks) -> Float[Array, "B S D"]:
        """Drops features, the same at all positions of an example."""
        return x if masks is None else self._scaled(x, self._mask(masks)[:, None, :])

    def rows(self, x: Float[Array, "B H S K"], masks: Masks) -> Float[Array, "B H S K"]:
        """Drops whole rows [K], a mask for each head and position."""
        return x if masks is None else self._scaled(x, self._mask(masks).swapaxes(1, 2)[..., None])

    def _mask(self, masks: Mapping[str, Array]) -> Array:
        return masks["/".join(self.path)]

    def _scaled(self, x: Array, mask: Array) -> Array:
        return jnp.where(mask, x / (1 - self.rate), jnp.zeros_like(x))
