"""What a catalog holds of a deployment's run comes in, its documents go out; `tilewright record` carries on with them.

For runs whose journals are gone: delivered, and removed some days later. What the tables do not have (uids, resources, datums)
follows from what they have. The order among streams is another one, which nobody minds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.documents import numpy_dtype
from tilewright.sources.composing import datum, resource, uid_of
from tilewright.sources.recordings.descriptors import AUDIO
from tilewright.sources.recordings.facts import Shape
from tilewright.sources.recordings.forms import event, in_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tilewright.documents import Document
    from tilewright.sources.composing import Kept
    from tilewright.sources.recordings.run_documents import Place


def rebuilt(
    start: Mapping[str, Any],
    streams: Iterable[Kept],
    stop: Mapping[str, Any] | None,
    *,
    root: str,
    place: Place | None,
) -> Iterator[Document]:
    """Yield the documents of a run.

    Parameters
    ----------
    stop
        None if the run has none yet.
    root
        What the names of its files start from.
    place
        Where its samples are converted to; None if its files lie where they were.
    """
    yield "start", dict(start)
    for kept in streams:
        yield "descriptor", dict(kept.descriptor)
        yield from _of_stream(start["uid"], kept, root, place)
    if stop is not None:
        yield "stop", dict(stop)


def _of_stream(run: str, kept: Kept, root: str, place: Place | None) -> Iterator[Document]:
    name, keys, descriptor = kept.descriptor["name"], kept.descriptor["data_keys"], kept.descriptor["uid"]
    columns = [key for key in keys if key != AUDIO]
    announced = False
    for number, row in enumerate(kept.rows, start=1):
        data = {key: row[key] for key in columns}
        if kept.mimetype is not None:
            shape = Shape(numpy_dtype(keys[AUDIO]), data["channels"], kept.mimetype)
            of_file = () if place is not None else (data["file"],)
            uid = uid_of(run, "resource", name, *of_file)
            if place is None or not announced:
                uri, parameters = (
                    in_place(f"{root}/{data['file']}", shape, data["rate"])
                    if place is None
                    else place.resource(name, shape, data["rate"])
                )
                yield resource(run, uid, AUDIO, kept.mimetype, uri, parameters)
                announced = True
            own = uid_of(run, "datum", name, data["file"])
            yield datum(own, uid, descriptor, first=data["first"], count=data["samples"], number=number)
        yield event(run, name, descriptor, number=number, seconds=row["time"], data=data)
