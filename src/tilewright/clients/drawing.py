"""What pictures have alike: matplotlib's own objects go out, to whatever draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.extras import extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.dates import ConciseDateFormatter


def matplotlib() -> Any:
    """Return the package, which is slow to import.

    Raises
    ------
    SetupError
        If it is not installed.
    """
    with extra("plot", "pictures need matplotlib"):
        import matplotlib as mpl  # noqa: PLC0415
    return mpl


def new_axes(width: float, height: float, count: int = 1) -> list[Axes]:
    """Return so many axes, one above the other, with one axis of x, on a new figure of this size in inches.

    Raises
    ------
    SetupError
        If matplotlib is not installed.
    """
    matplotlib()
    import matplotlib.pyplot as plt  # noqa: PLC0415

    _, axes = plt.subplots(
        count, 1, sharex=True, squeeze=False, figsize=(width, height), layout="constrained"
    )
    return list(axes[:, 0])


def show_dates(
    axis: Axis, *, least: int = 5, most: int | None = None, offset: bool = True
) -> ConciseDateFormatter:
    """Have an axis show dates and times in UTC, whatever the zone of this machine or of matplotlib's settings.

    Parameters
    ----------
    least, most
        How many of them.
    offset
        Whether what they have in common is told at the end of the axis.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - slow to import

    locator: Any = AutoDateLocator(tz="UTC", minticks=least, maxticks=most)
    formatter = ConciseDateFormatter(locator, tz="UTC", show_offset=offset)
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)
    return formatter
