"""In come columns of values, out comes a run as a list of documents; hand-written tests call it.

Values identify themselves: unless a test gives its own, a value says which event and column it belongs to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from event_model import compose_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tilewright.documents import Document

START_TIME = 1_700_000_000.0
"""Seconds since 1970 at which runs start unless told otherwise: 14 November 2023."""


def value_of(seq_num: int, column: int) -> float:
    """Return the number that says where it belongs: the event before the point, the column behind it.

    >>> value_of(7, 12)
    7.012
    """
    return seq_num + column / 1000


def simple_run(
    *,
    events: int = 10,
    keys: int = 3,
    stream: str = "primary",
    scan_id: int = 1,
    uid: str | None = None,
    paged: bool = False,
) -> list[Document]:
    """Return a run of one stream with float columns `x0`, `x1` …, whose values are `value_of` them.

    Parameters
    ----------
    events
        Number of events; their `seq_num` counts from 1.
    keys
        Number of data keys.
    stream
        Name of the stream.
    scan_id
        Goes into the start document.
    uid
        Of the run; None draws one.
    paged
        Put all events into one event_page.
    """
    columns = {
        f"x{column}": [value_of(seq_num, column) for seq_num in range(1, events + 1)]
        for column in range(keys)
    }
    return run_of(
        columns, dtypes=dict.fromkeys(columns, "<f8"), stream=stream, scan_id=scan_id, uid=uid, paged=paged
    )


def run_of(
    columns: Mapping[str, Sequence[Any]],
    *,
    dtypes: Mapping[str, str] | None = None,
    seq_nums: Sequence[int] | None = None,
    stream: str = "primary",
    scan_id: int = 1,
    uid: str | None = None,
    paged: bool = False,
) -> list[Document]:
    """Return a run of one stream whose events are the rows of `columns`.

    Parameters
    ----------
    columns
        The values of each data key, one an event; all of one length. Lists are short arrays.
    dtypes
        The numpy dtype that the descriptor declares, of a value or of an array's element; those left out follow
        from the key's first value that is not None.
    seq_nums
        One for each event, repeated where a plan was rewound; None counts from 1.
    stream, scan_id, uid, paged
        As in `simple_run`.
    """
    run = compose_run(uid=uid, time=START_TIME, metadata={"scan_id": scan_id})
    data_keys = {key: data_key(values, (dtypes or {}).get(key)) for key, values in columns.items()}
    bundle = run.compose_descriptor(name=stream, data_keys=data_keys, time=START_TIME + 0.5)
    documents: list[Document] = [("start", run.start_doc), ("descriptor", bundle.descriptor_doc)]
    rows = len(next(iter(columns.values()), ()))
    numbers = list(seq_nums) if seq_nums is not None else list(range(1, rows + 1))
    times = [START_TIME + row for row in range(1, rows + 1)]
    stamps = {key: [time + value_of(0, column) for time in times] for column, key in enumerate(columns)}
    if paged:
        data = {key: list(values) for key, values in columns.items()}
        page = bundle.compose_event_page(data=data, timestamps=stamps, seq_num=numbers, time=times)
        documents.append(("event_page", page))
    else:
        for row, (number, time) in enumerate(zip(numbers, times, strict=True)):
            event = bundle.compose_event(
                data={key: values[row] for key, values in columns.items()},
                timestamps={key: values[row] for key, values in stamps.items()},
                seq_num=number,
                time=time,
            )
            documents.append(("event", event))
    documents.append(("stop", run.compose_stop(time=START_TIME + rows + 1)))
    return documents


def data_key(values: Sequence[Any], dtype: str | None = None) -> dict[str, Any]:
    """Return the descriptor's entry for a column of such values.

    Parameters
    ----------
    values
        The first one that is not None decides; without any, the column is of floats.
    dtype
        The numpy dtype of a value, or of an array's element; None asks numpy.
    """
    example = np.asarray(next((value for value in values if value is not None), 0.0))
    numpy_dtype = np.dtype(dtype) if dtype is not None else example.dtype
    kinds = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "U": "string"}
    return {
        "source": "simulated",
        "dtype": "array" if example.ndim else kinds[numpy_dtype.kind],
        "dtype_numpy": numpy_dtype.str,
        "shape": list(example.shape),
    }


def run_with_files(
    *,
    uri: str,
    mimetype: str,
    frames: int = 3,
    shape: Sequence[int] = (4, 5),
    uid: str | None = None,
    **parameters: Any,
) -> list[Document]:
    """Return a run with a float column `x0`, and a data key `image` of `<u2` frames, one an event, that lie in files.

    Parameters
    ----------
    uri, mimetype, parameters
        Of the files.
    frames
        Number of frames, and of events.
    shape
        Of a frame.
    uid
        Of the run; None draws one.
    """
    start, (_, descriptor), *events, stop = simple_run(events=frames, keys=1, uid=uid)
    image = {"source": "simulated", "dtype": "array", "dtype_numpy": "<u2", "shape": list(shape)}
    keys = descriptor["data_keys"] | {"image": image | {"external": "STREAM:", "dims": ["y", "x"]}}
    files = file_documents(
        "image",
        uri=uri,
        mimetype=mimetype,
        descriptor=descriptor["uid"],
        run_start=start[1]["uid"],
        frames=frames,
        **parameters,
    )
    return [start, ("descriptor", {**descriptor, "data_keys": keys}), *files, *events, stop]


def file_documents(
    data_key: str,
    *,
    uri: str,
    mimetype: str,
    descriptor: str,
    run_start: str,
    frames: int = 3,
    **parameters: Any,
) -> list[Document]:
    """Return a StreamResource and the StreamDatum of its first frames, one an event.

    Parameters
    ----------
    data_key
        The external data key.
    uri, mimetype, parameters
        Of the file.
    descriptor, run_start
        uids of the documents they belong to.
    frames
        Number of frames, and of events from `seq_num` 1 on.
    """
    resource = {
        "uid": f"resource-{data_key}",
        "run_start": run_start,
        "data_key": data_key,
        "mimetype": mimetype,
        "uri": uri,
        "parameters": parameters,
    }
    datum = {
        "uid": f"resource-{data_key}/0",
        "stream_resource": resource["uid"],
        "descriptor": descriptor,
        "indices": {"start": 0, "stop": frames},
        "seq_nums": {"start": 1, "stop": frames + 1},
    }
    return [("stream_resource", resource), ("stream_datum", datum)]
