"""Clips and pictures: what cameras, phones, editors and the web make."""

from .case import Case

CLIPS: tuple[Case, ...] = ()
