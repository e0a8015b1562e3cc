"""Whole groups of frames to splits, so that each split gets its share of every class: a search, pure and seeded."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_RESTARTS = 8
_GOOD = 1e-3  # loss at which searching ends: every share is within some 1 % of what it should be


def assign(amounts: FloatArray, shares: Sequence[float], seed: int) -> list[int]:
    """Give each session to a split so that the splits' shares of everything are as close to the wanted as can be.

    Large sessions first, each goes where it is missed most; then sessions are moved and exchanged as long as that
    helps; the best of several such searches, each with another order, is the answer.

    Args:
        amounts: (S, K), how much of each of K things each of S sessions has: frames, and pixels of each class.
        shares: (T,), the share of everything that each split should get; 0 for splits that stay empty.
        seed: Same seed, same answer.

    Returns:
        The split of each session, S integers below T. No split with a share is empty.
    """
    rng = np.random.default_rng(seed)
    used = [split for split, share in enumerate(shares) if share > 0]
    totals = amounts.sum(axis=0)
    parts = amounts[:, totals > 0] / totals[totals > 0]  # of all there is, (S, K')
    target = np.array([shares[split] for split in used])
    best, least = np.zeros(len(parts), np.int64), np.inf
    for _ in range(_RESTARTS):
        chosen = _greedy(parts, target, rng)
        loss = _improve(chosen, parts, target)
        if loss < least:
            best, least = chosen, loss
        if least <= _GOOD:
            break
    return [used[split] for split in best]


def _greedy(parts: FloatArray, target: FloatArray, rng: np.random.Generator) -> IntArray:
    sizes = parts.sum(axis=1) * rng.uniform(0.7, 1.3, len(parts))
    chosen = np.full(len(parts), -1)
    held = np.zeros((len(target), parts.shape[1]))
    order = np.argsort(-sizes, kind="stable")
    for position, session in enumerate(order):
        left = len(order) - position
        empty = np.flatnonzero(~np.isin(np.arange(len(target)), chosen))
        choices = empty if len(empty) >= left else np.arange(len(target))
        missing = (target[:, None] - held) @ parts[session] / target
        chosen[session] = choices[np.argmax(missing[choices])]
        held[chosen[session]] += parts[session]
    return chosen


def _improve(chosen: IntArray, parts: FloatArray, target: FloatArray) -> float:
    """Move and exchange sessions, in place, as long as that lowers the loss; return it."""
    held = np.stack([parts[chosen == split].sum(axis=0) for split in range(len(target))])
    loss, before = _loss(held, target), np.inf
    while _GOOD < loss < before:
        before = loss
        for session in range(len(parts)):
            for change in _changes(session, chosen, len(target)):
                trial = held.copy()
                for moved, goal in change.items():
                    trial[chosen[moved]] -= parts[moved]
                    trial[goal] += parts[moved]
                if (new := _loss(trial, target)) < loss - 1e-9:
                    chosen[list(change)] = list(change.values())
                    held, loss = trial, new
                    break
    return loss


def _changes(session: int, chosen: IntArray, splits: int) -> Iterator[dict[int, int]]:
    """Give the ways to change a session's split: to move it, or to exchange it with another session."""
    own = int(chosen[session])
    if np.count_nonzero(chosen == own) > 1:
        yield from ({session: goal} for goal in range(splits) if goal != own)
    yield from ({session: int(chosen[other]), int(other): own} for other in np.flatnonzero(chosen != own))


def _loss(held: FloatArray, target: FloatArray) -> float:
    """Squared deviation of the shares, in proportion to the wanted; a class that a split lacks weighs more."""
    deviation = (held - target[:, None]) / target[:, None]
    return float((deviation**2).sum() + 10 * np.count_nonzero(held <= 1e-12))
