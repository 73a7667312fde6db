"""Abuse: damaged files, hand-made prompts, kills, full disks, two writers; and what came of it."""
