"""Samples of a cable, or of any array of (distance, time), through a pipeline of steps, chunk by chunk, and cut into pictures.

The names are loaded on first use: steps and pictures are wanted without the client of a server, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.processing.base import Step
    from tilewright.processing.jobs import das_images
    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.recipes import das_pipeline
    from tilewright.processing.spans import Block, Overlap, Shape, Signal, Span
    from tilewright.processing.steps import STEPS, Bandpass, Decimate, Envelope, Log, Median, step_from_json

__all__ = [
    "STEPS",
    "Bandpass",
    "Block",
    "Decimate",
    "Envelope",
    "Log",
    "Median",
    "Overlap",
    "Pipeline",
    "Shape",
    "Signal",
    "Span",
    "Step",
    "das_images",
    "das_pipeline",
    "step_from_json",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "base": ["Step"],
        "jobs": ["das_images"],
        "pipeline": ["Pipeline"],
        "recipes": ["das_pipeline"],
        "spans": ["Block", "Overlap", "Shape", "Signal", "Span"],
        "steps": ["STEPS", "Bandpass", "Decimate", "Envelope", "Log", "Median", "step_from_json"],
    },
)
