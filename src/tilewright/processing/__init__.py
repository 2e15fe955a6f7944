"""Samples of a cable, or of any array of (distance, time), through a pipeline of steps, chunk by chunk, and cut into pictures."""

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
