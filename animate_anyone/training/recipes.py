"""The settings with which aa-mini was trained, one record per stage."""

from typing import Any

RECIPES: dict[int, dict[str, Any]] = {
    1: {
        "stage": 1,
        "steps": 9700,
        "characters": 4,
        "frames": 6,
        "learning_rate": 1.5e-3,
        "decay_from": 0.75,
    },
    2: {
        "stage": 2,
        "steps": 2400,
        "characters": 1,
        "frames": 24,
        "learning_rate": 2e-3,
        "difference_weight": 8.0,
        "average_decay": 0.995,
        "warm_up": 50,
    },
}
