"""The cheapest way to pair two small groups."""

import numpy as np


def assign(
    cost: np.ndarray,  # (n, m), at least 0; infinite where a pair is forbidden
    alone: float,  # what it costs to leave one without a partner; no pair costs more
) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the cheapest way.

    The Hungarian method by shortest augmenting paths (Kuhn 1955, Jonker and Volgenant 1987);
    plain lists, because n and m are the few people of a frame.
    """
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(cost.T, alone))
    table = np.minimum(cost, alone).tolist()
    row_of = [-1] * columns
    row_price, column_price = [0.0] * rows, [0.0] * columns
    for row in range(rows):
        _augment(table, row, row_of, row_price, column_price)
    pairs = [(row, column) for column, row in enumerate(row_of) if row >= 0]
    return sorted(pair for pair in pairs if cost[pair] < alone)


def _augment(
    table: list[list[float]],
    start: int,  # the row to add
    row_of: list[int],  # per column, -1 while free; changed
    row_price: list[float],  # changed
    column_price: list[float],  # changed
) -> None:
    """Find a place for one more row, moving those before where that is cheapest."""
    columns = range(len(row_of))
    distance = [float("inf")] * len(row_of)
    previous = [-1] * len(row_of)  # the column before on the shortest path, -1 for the start
    settled: list[int] = []
    row, column, reached = start, -1, 0.0
    while True:
        for other in columns:
            if other in settled:
                continue
            reduced = table[row][other] - row_price[row] - column_price[other]
            if reached + reduced < distance[other]:
                distance[other], previous[other] = reached + reduced, column
        column = min((c for c in columns if c not in settled), key=distance.__getitem__)
        reached = distance[column]
        if row_of[column] < 0:
            break
        settled.append(column)
        row = row_of[column]
    row_price[start] += reached
    for other in settled:
        row_price[row_of[other]] += reached - distance[other]
        column_price[other] -= reached - distance[other]
    while column >= 0:
        row_of[column] = row_of[previous[column]] if previous[column] >= 0 else start
        column = previous[column]
