"""Matching the people of one frame to the people followed so far, by place, size and clothes."""

from dataclasses import dataclass

import numpy as np

# Distances between skeletons are mean joint distances in units of the person's spread: the root
# mean square distance of the joints from their middle, about 0.28 of a standing person's height.
_GATE = 1.5  # farther than this within 1/30 second is another person
_GATE_PER_SECOND = 3.0  # added for longer absences: a quick walk
_MOST = 3.0  # farther than this is another person, however long the absence
RECENT_SECONDS = 0.5  # those missed for longer are matched only after all others
FORGET_SECONDS = 3.0  # who was not seen for longer is forgotten; see `follow_people`
_SIZE_GATE = np.log(1.6)  # a person who returns has the same size within this factor
_BOX_WEIGHT, _SIZE_WEIGHT = 0.5, 0.5  # relative to the distance
# Clothes: distances in CIELAB. From frame to frame they are about 2; between people about 20.
_COLOUR_WEIGHT, _OTHER_CLOTHES = 0.5, 20.0  # cost of this distance or more
_COLOUR_GATE = 10.0  # a person who returns wears the same clothes within this distance
_COLOUR_SHARE = 0.2  # of a new observation in the remembered colour
_ALONE = _GATE + _BOX_WEIGHT  # cost of a new person, equal to the worst match that is allowed
_COAST_SECONDS = 8 / 30  # for how long a missed person is expected to keep moving
_MATCHED_AT_30_FPS = 1 / 30  # seconds between two frames for which _GATE holds


@dataclass(frozen=True)
class Sightings:
    """The people of one frame, each by 22 points: the body, and the centres of other parts."""

    xy: np.ndarray  # (m, 22, 2), pixels
    seen: np.ndarray  # (m, 22)
    box: np.ndarray  # (m, 4): left, top, right, bottom
    colour: np.ndarray | None  # (m, 3), CIELAB of clothes, NaN where not known; None: no pictures

    def __getitem__(self, rows: np.ndarray | slice) -> "Sightings":
        """Return some of them."""
        colour = None if self.colour is None else self.colour[rows]
        return Sightings(self.xy[rows], self.seen[rows], self.box[rows], colour)

    def __add__(self, other: "Sightings") -> "Sightings":
        """Return all people of both."""
        mine, more = self.colour, other.colour
        return Sightings(
            np.concatenate([self.xy, other.xy]),
            np.concatenate([self.seen, other.seen]),
            np.concatenate([self.box, other.box]),
            None if mine is None or more is None else np.concatenate([mine, more]),
        )


class Followed:
    """The people who are followed: where each was seen last, how it moved, what it wears."""

    def __init__(
        self,
        unit: float,  # least spread in pixels, for people with few points
    ) -> None:
        """Start without people."""
        self._unit = unit
        self.people = 0  # numbers given so far
        self.forgotten = 0
        self.number = np.zeros(0, int)  # (n,) of those who are remembered
        self.last = np.zeros(0)  # (n,), seconds
        self.velocity = np.zeros((0, 2))  # pixels per second
        self.state: Sightings | None = None

    def assign(
        self,
        now: float,  # seconds
        found: Sightings,
    ) -> np.ndarray:  # (m,), the number of each person
        """Recognise the people of a frame, or give new numbers to them; remember both."""
        self._forget(now)
        owners = np.full(len(found.xy), -1)
        if self.state is not None and len(self.last):
            owners = self._owners(self.state, now - self.last, found)
            new = np.flatnonzero(owners < 0)
            known = np.flatnonzero(owners >= 0) if len(new) else slice(None)
            self._update(self.state, owners[known], now, found[known] if len(new) else found)
        else:
            new = np.arange(len(owners))
        if len(new):
            owners[new] = np.arange(len(new)) + len(self.last)
            self._add(now, found[new])
        return self.number[owners]

    def _forget(self, now: float) -> None:
        kept = now - self.last <= FORGET_SECONDS
        if not kept.all():
            self.forgotten += int(np.count_nonzero(~kept))
            self.number, self.last = self.number[kept], self.last[kept]
            self.velocity = self.velocity[kept]
            self.state = None if self.state is None else self.state[kept]

    def _add(self, now: float, new: Sightings) -> None:
        count = len(new.xy)
        self.number = np.append(self.number, self.people + np.arange(count))
        self.people += count
        self.last = np.append(self.last, np.full(count, now))
        self.velocity = np.concatenate([self.velocity, np.zeros((count, 2))])
        self.state = new if self.state is None else self.state + new

    def _update(self, state: Sightings, rows: np.ndarray, now: float, found: Sightings) -> None:
        """Move the people in these rows to where they were found."""
        if not len(rows):
            return
        old = state[rows]
        shared = old.seen & found.seen
        count = np.count_nonzero(shared, axis=1)[:, None]
        step = found.xy - old.xy
        moved = np.einsum("kjx,kj->kx", step, shared) / np.maximum(count, 1)
        if not count.all():
            of_boxes = (found.box - old.box).reshape(-1, 2, 2).mean(1)
            moved = np.where(count, moved, of_boxes)
        gap = (now - self.last[rows])[:, None]
        # After a long absence, the distance says nothing about the speed.
        speed = np.where(gap <= _COAST_SECONDS, moved / gap, 0.0)
        self.velocity[rows] = 0.5 * self.velocity[rows] + 0.5 * speed
        state.xy[rows] = np.where(found.seen[..., None], found.xy, old.xy + moved[:, None])
        state.seen[rows] = old.seen | found.seen
        state.box[rows] = found.box
        self.last[rows] = now
        if state.colour is not None and old.colour is not None and found.colour is not None:
            mixed = old.colour + _COLOUR_SHARE * (found.colour - old.colour)
            mixed = np.where(np.isnan(old.colour), found.colour, mixed)
            state.colour[rows] = np.where(np.isnan(mixed), old.colour, mixed)

    def _owners(self, state: Sightings, gaps: np.ndarray, found: Sightings) -> np.ndarray:
        """Return the row of each person found, -1 for a new one: recently seen ones come first."""
        distance, size, overlap = self._compare(state, gaps, found)
        recent = gaps <= RECENT_SECONDS
        gate = _GATE + _GATE_PER_SECOND * np.maximum(gaps - _MATCHED_AT_30_FPS, 0)
        distance *= (_GATE / np.minimum(gate, _MOST))[:, None]
        cost = distance + _SIZE_WEIGHT * size + _BOX_WEIGHT * (1 - overlap)
        allowed = distance <= _GATE
        clothes = _unlike(state.colour, found.colour)
        if clothes is not None:
            cost += _COLOUR_WEIGHT * np.minimum(clothes / _OTHER_CLOTHES, 1)
        cost = np.where(allowed, np.minimum(cost, 0.99 * _ALONE), np.inf)
        owners = np.full(len(found.xy), -1)
        if recent.all():
            for row, column in assign(cost, _ALONE):
                owners[column] = row
            return owners
        same = size <= _SIZE_GATE
        if clothes is not None:
            same &= clothes <= _COLOUR_GATE
        cost = np.where(recent[:, None] | same, cost, np.inf)
        for stage in (recent, ~recent):
            rows, columns = np.flatnonzero(stage), np.flatnonzero(owners < 0)
            for row, column in assign(cost[rows][:, columns], _ALONE):
                owners[columns[column]] = rows[row]
        return owners

    def _compare(
        self, state: Sightings, gaps: np.ndarray, found: Sightings
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # (n, m) each
        """Distance in spreads, |log size ratio|, and overlap of the boxes of n and m people."""
        step = self.velocity * np.minimum(gaps, _COAST_SECONDS)[:, None]
        expected = state.xy + step[:, None]
        shared = (state.seen[:, None] & found.seen).astype(float)  # (n, m, 22)
        count = shared.sum(-1)
        some = np.maximum(count, 1)
        sums = np.empty((2, *shared.shape[:2], 3))
        np.matmul(shared, _moments(expected), out=sums[0])
        np.matmul(shared.swapaxes(0, 1), _moments(found.xy), out=sums[1].swapaxes(0, 1))
        spread_a, spread_b = _spread(sums, some)
        scale = np.maximum(np.maximum(spread_a, spread_b), self._unit)
        apart = expected[:, None] - found.xy
        lengths = np.sqrt(np.einsum("nmjx,nmjx->nmj", apart, apart))
        distance = np.einsum("nmj,nmj->nm", lengths, shared) / some
        moved_box = state.box + np.concatenate([step, step], 1)
        if not count.all():
            middle_a, middle_b = ((b[:, :2] + b[:, 2:]) / 2 for b in (moved_box, found.box))
            of_boxes = np.linalg.norm(middle_a[:, None] - middle_b, axis=-1)
            distance = np.where(count, distance, of_boxes)
        size = np.maximum(spread_a, self._unit) / np.maximum(spread_b, self._unit)
        return distance / scale, np.abs(np.log(size)), _overlap(moved_box, found.box)


def _unlike(
    first: np.ndarray | None,  # (n, 3)
    second: np.ndarray | None,  # (m, 3)
) -> np.ndarray | None:  # (n, m)
    """Return the distances of colours; 0 where one is not known, None without pictures."""
    if first is None or second is None:
        return None
    apart = first[:, None] - second
    distance = np.sqrt(np.einsum("nmc,nmc->nm", apart, apart))
    distance[np.isnan(distance)] = 0.0
    return distance


def _moments(xy: np.ndarray) -> np.ndarray:  # (n, j, 2) -> (n, j, 3)
    """Return x, y and x^2 + y^2 of points; weighted sums of these give their spread."""
    result = np.empty((*xy.shape[:-1], 3))
    result[..., :2] = xy
    np.einsum("njx,njx->nj", xy, xy, out=result[..., 2])
    return result


def _spread(sums: np.ndarray, count: np.ndarray) -> np.ndarray:  # (2, n, m, 3), (n, m): (2, n, m)
    """Return the root mean square distance from the middle, from sums of `_moments`."""
    mean = sums / count[..., None]
    x, y = mean[..., 0], mean[..., 1]
    square = mean[..., 2] - x * x - y * y
    return np.sqrt(np.maximum(square, 0))


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # (n, 4), (m, 4) -> (n, m)
    """Intersection over union; 0 where both boxes are empty."""
    low = np.maximum(a[:, None, :2], b[:, :2])
    high = np.minimum(a[:, None, 2:], b[:, 2:])
    common = np.maximum(high - low, 0)
    common = common[..., 0] * common[..., 1]
    sides_a, sides_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    union = (sides_a[:, 0] * sides_a[:, 1])[:, None] + sides_b[:, 0] * sides_b[:, 1] - common
    return common / np.where(union > 0, union, 1)


def assign(
    cost: np.ndarray,  # (n, m), at least 0; infinite where a pair is forbidden
    alone: float,  # cost of an entry without a partner; pairs of this cost or more are not made
) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the least total cost, sorted by row."""
    if 0 in cost.shape:
        return []
    best = cost.argmin(0).tolist()
    if len(set(best)) == len(best) and (cost.min(0) < alone).all():
        return sorted((row, column) for column, row in enumerate(best))  # nothing is in dispute
    from scipy.optimize import linear_sum_assignment  # takes a while to import

    # A pair of cost `alone` is dropped below, so it can stand in for forbidden pairs.
    rows, columns = linear_sum_assignment(np.minimum(cost, alone))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [pair for pair in pairs if cost[pair] < alone]
