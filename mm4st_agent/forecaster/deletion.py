"""The test of an explanation: its inputs are taken away, beside as many random inputs of the same kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Item = TypeVar("Item", bound=Hashable)

TRUSTED = 0.9
"""The named inputs must move the forecast further than this share of the random draws."""


@dataclass(frozen=True)
class DeletionTest:
    """What became of a forecast while its inputs were taken away one after the other; all in its unit.

    How far it `moved` is the sum of the absolute changes from each removal to the next: a driver that raised the
    forecast and one that lowered it do not cancel out.

    Attributes:
        whole: With all inputs.
        named: `(K,)` without the first 1 .. K named inputs.
        random: `(D, K)` without the first 1 .. K inputs of each draw.

    Source:
        Samek et al. (2017), arXiv:1509.06321 (perturbation curves against random orders).
    """

    whole: float
    named: Array
    random: Array

    @property
    def shift(self) -> float:
        """Without all the named inputs less with them."""
        return float(self.named[-1] - self.whole) if len(self.named) else 0.0

    @property
    def random_shifts(self) -> Array:
        """`(D,)` the same of each draw."""
        if not self.random.shape[1]:
            return np.zeros(len(self.random))
        return np.asarray(self.random[:, -1] - self.whole)

    @property
    def moved(self) -> Array:
        """`(K + 1,)` how far the forecast had moved after 0 .. K of the named inputs were gone."""
        return self._moved(self.named[None]).ravel()

    @property
    def random_moved(self) -> Array:
        """`(D, K + 1)` the same of each draw."""
        return self._moved(self.random)

    @property
    def share_below(self) -> float:
        """Of the draws, in 0 .. 1, how many moved the forecast less far than the named inputs."""
        return float((self.random_moved[:, -1] < self.moved[-1]).mean())

    @property
    def faithful(self) -> bool:
        """Whether `share_below` reaches `TRUSTED`."""
        return self.share_below >= TRUSTED

    def _moved(self, after: Array) -> Array:
        path = np.concatenate([np.full((len(after), 1), self.whole), after], axis=1)
        steps = np.abs(np.diff(path, axis=1))
        return np.concatenate([np.zeros((len(after), 1)), np.cumsum(steps, axis=1)], axis=1)


def delete(
    totals: Callable[[Sequence[Collection[Item]]], Array],
    named: Sequence[Item],
    everything: Sequence[Item],
    kind_of: Callable[[Item], str],
    *,
    draws: int,
    seed: int,
) -> DeletionTest:
    """Take the named inputs away, and as many random ones of the same kinds, `draws` times.

    A draw has at each place an input of the kind that the named order has there, without repetition. It may hold
    named inputs: chance would name them too. In place of an input that is the only one of its kind, any may stand.

    Args:
        totals: The forecast without each of some collections of inputs.
        named: The order in which they are removed.
        everything: All inputs, those of `named` among them.
        kind_of: The kind of an input.
        draws: D.
        seed: Of the draws.
    """
    chance = np.random.default_rng(seed)
    orders = [list(named), *(_drawn(named, everything, kind_of, chance) for _ in range(draws))]
    prefixes = [order[:count] for order in orders for count in range(1, len(named) + 1)]
    found = totals([(), *prefixes])
    after = found[1:].reshape(len(orders), len(named))
    return DeletionTest(float(found[0]), after[0], after[1:])


def _drawn(
    named: Sequence[Item], everything: Sequence[Item], kind_of: Callable[[Item], str], chance: np.random.Generator
) -> list[Item]:
    """One order of random inputs; the places of single ones are filled last, from what is left."""
    mixed = [everything[at] for at in chance.permutation(len(everything))]
    sizes = Counter(map(kind_of, everything))
    order = list(named)
    left = dict.fromkeys(mixed)
    for place in sorted(range(len(named)), key=lambda place: sizes[kind_of(named[place])] == 1):
        kind = kind_of(named[place])
        order[place] = next(item for item in left if sizes[kind] == 1 or kind_of(item) == kind)
        del left[order[place]]
    return order
