"""What pictures have alike."""

import numpy as np
import pytest

from tilewright.clients.drawing import new_axes, show_dates

mpl = pytest.importorskip("matplotlib")


def test_times_are_utc_whatever_the_settings_say():
    """An axis is said to be of UTC."""
    with mpl.rc_context({"timezone": "America/Los_Angeles", "backend": "Agg"}):
        (axes,) = new_axes(6, 2)
        axes.plot(np.array(["2023-04-25T00:00", "2023-04-25T10:00"], "M8[s]"), [0, 1])
        show_dates(axes.xaxis)
        axes.figure.canvas.draw()
        labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"02:00", "04:00", "08:00"} <= set(labels)
    assert axes.xaxis.get_offset_text().get_text() == "2023-Apr-25"


def test_axes_above_each_other_have_one_time():
    first, second = new_axes(6, 4, 2)
    second.set_xlim(3, 7)
    assert first.get_xlim() == (3, 7)
    assert first.figure is second.figure
