"""A run of a cable comes in, a run of pictures goes into its catalog, and comes out: notebooks and scripts call `das_images`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.clients.cables.tiles import raw_of
from tilewright.clients.carrying_on import so_far
from tilewright.clients.connect import catalog_of
from tilewright.clients.progress import announced
from tilewright.errors import InputError, TransientError
from tilewright.processing.images import DasImages
from tilewright.processing.pictures import Scale
from tilewright.processing.recipes import das_pipeline
from tilewright.processing.tile_documents import PLAN_NAME, SOURCE
from tilewright.processing.tiles import seconds_of
from tilewright.processing.workers import workers_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from tilewright.clients.cables import Cable, Tiles
    from tilewright.clients.catalog import Catalog
    from tilewright.clients.run import Run
    from tilewright.processing.pipeline import Pipeline


def das_images(  # noqa: PLR0913 - what a job is
    run: Run,
    folder: str | os.PathLike[str],
    *,
    band: tuple[float, float] | None = None,
    pipeline: Pipeline | None = None,
    tile: float | str = 15.0,
    channels: int = 10,
    scale: tuple[float, float] | Scale | None = None,
    time: Any = None,
    distance: Any = None,
    cluster: Any = None,
    threads: int | None = None,
    path_map: Mapping[str, str] | None = None,
    journal: str | os.PathLike[str] | None = None,
    **steps: Any,
) -> Tiles:
    """Make pictures of a cable's samples, as a run of the same catalog; what is there already is not made again.

    A job that was interrupted is started again by the same call. While it is under way, the run can be read. The first line on stderr tells
    how much there is to do, and the cluster's dashboard.

    Parameters
    ----------
    run
        Of a cable, as `tilewright record das` makes it; or of pictures of it.
    folder
        Of the pictures; the server must be allowed to read it (``serve(…, readable_storage=…)``).
    band
        Hz, from and to: `das_pipeline` makes the steps, with what else is given as ``decimate``, ``every``, ``median``, ``window``.
    pipeline
        Steps of your own instead.
    tile
        How long a tile is: seconds, or text such as "15s" or "1min".
    channels
        Into how many tiles the cable is cut, side by side.
    scale
        The values that are black and white, in dB; `OWN_SCALE` for each picture its own. None: measured, and told by the run.
    time, distance
        Of what, as of `Cable.select`. None for all.
    cluster
        A Dask cluster's address, or a `distributed.Client`. None for threads of this process.
    threads
        How many; None for one a processor.
    path_map, journal
        As of `TiledWriter`. A job that is started again finds what it did in its journal, or else in the catalog.

    Returns
    -------
    Tiles
        The run; of an acquisition that still goes on, with the tiles that are complete.

    Raises
    ------
    InputError
        If something given does not fit, or samples cannot be processed: the message says which, and all other tiles are there.
    """
    with workers_of(cluster, threads) as workers:
        cable = cable_of(run)
        source = DasImages(
            cable,
            _pipeline(cable.rate, band, pipeline, steps),
            Path(folder),
            tile=seconds_of(tile),
            parts=channels,
            scale=scale if scale is None or isinstance(scale, Scale) else Scale(*scale),
            time=time,
            distance=distance,
            workers=workers,
        )
        return _recorded(
            source, catalog_of(run), workers.dashboard, {"path_map": path_map, "journal": journal}
        )


def cable_of(run: Run) -> Cable:
    """Return the cable of a run; of a run of pictures, the one that they were made of: it is the latest when a job is repeated for the latest.

    Raises
    ------
    InputError
        If it is no run of a cable.
    NotFoundError
        If the run that pictures were made of is gone.
    """
    is_made = run.start.get("plan_name") == PLAN_NAME and run.start.get("source") == SOURCE
    return (raw_of(run) if is_made else run).cable()


def _pipeline(
    rate: float, band: tuple[float, float] | None, pipeline: Pipeline | None, steps: dict[str, Any]
) -> Pipeline:
    if (band is None) == (pipeline is None):
        raise InputError("say what is done to the samples: band=(14, 35), or a pipeline")
    if pipeline is None:
        assert band is not None
        return das_pipeline(rate, band, **steps)
    if steps:
        raise InputError(f"{', '.join(steps)}: a pipeline has its steps; these go with band")
    return pipeline


def _recorded(source: DasImages, catalog: Catalog, dashboard: str, options: Mapping[str, Any]) -> Tiles:
    """Give a job's documents to a writer, until its run is readable."""
    from tilewright.writer import TiledWriter  # noqa: PLC0415 - slow to import

    at = f"; the cluster shows its work at {dashboard}" if dashboard else ""
    with TiledWriter(catalog, deliver="thread", strict=True, **options) as writer:
        found = so_far(source, writer.journal, catalog)
        uids = [doc["uid"] for name, doc in found.earlier if name == "start"]
        with announced(f"{source.name}: {source.tiles:,} tiles{at}", source.tiles) as advance:
            source.progress = _one_by_one(advance)
            for name, doc in source.documents(found.before, found.earlier):
                uids += [doc["uid"]] if name == "start" else []
                writer(name, doc)
        if not writer.flush(timeout=None):
            raise TransientError(
                f"the server does not take it yet: it is in {writer.journal}; repeat the call"
            )
        failed = writer.status().failed
    if failed:
        uid, reason = next(iter(failed.items()))
        raise InputError(f"run {uid}: {reason}")
    if source.problems:
        raise InputError(f"not all could be made, all else is there: {'; '.join(source.problems)}")
    if not uids:
        raise InputError(f"{source.name}: no tile is complete yet")
    tiles: Tiles = catalog[uids[-1]].tiles()
    return tiles


def _one_by_one(advance: Callable[[], object]) -> Callable[[int, int], None]:
    """Return what counts up to a number."""
    counted = 0

    def progress(done: int, _all: int) -> None:
        nonlocal counted
        for _ in range(counted, done):
            advance()
        counted = done

    return progress
