"""What a client makes of a stream, held against what is in the files; and how an array is laid out in the catalog.

In come a stream as some client opened it, and the values a case expects; out go sentences about what is different. Called by
`test_conformance`, which asks of each client what no other one is asked for: a request takes a server some 20 ms.
"""

import numpy as np

PARTS = [np.s_[()], np.s_[1:], np.s_[1:, :2], np.s_[1:, :, :2], np.s_[1:, :, :, :2]]
"""A part of an array, by its number of dimensions."""


def faults_of_keys(stream, expected, *, parts=True):
    """Return what is wrong with the data keys, each read as a whole and in part; empty if all is as in the files."""
    return _gather(expected, lambda key, values: _check_key(stream[key], values, parts=parts))


def faults_of_stream(stream, expected):
    """Return what is wrong with the stream, read as a whole, and with its data keys in that."""
    try:
        dataset = stream.read()
        seen = dataset["x"].to_numpy().tolist() if "x" in dataset else []
    except Exception as error:  # noqa: BLE001 - see _gather
        return [_sentence("stream", error)]
    if seen != [float(row + 1) for row in range(len(seen))]:
        return [f"x is {seen}"]
    arrays = {key: values for key, values in expected.items() if is_array(values)}
    return _gather(arrays, lambda key, values: _check_same(dataset[key].to_numpy(), values))


def is_array(values):
    return isinstance(values, np.ndarray)


def layout(stream, key):
    """Return how a data key is laid out in the catalog, as what has to be the same whoever wrote it."""
    client = stream[key]
    if client.structure_family != "array":
        return {"family": str(client.structure_family)}
    structure = client.structure()
    return {
        "family": "array",
        "dtype": structure.data_type.to_numpy_dtype(),
        "shape": structure.shape,
        "chunks": structure.chunks,
        "dims": structure.dims,
    }


def _check_key(client, values, *, parts):
    if not is_array(values):
        assert _download(client.include_data_sources()) == values, "other bytes than in the files"
        return
    _check_same(client.read(), values)
    if parts:
        part = PARTS[values.ndim]
        _check_same(client[part], values[part])


def _download(client):
    """Return what is in each file of a client, in their order."""
    (source,) = client.data_sources()
    downloaded = {}
    client.raw_export(downloaded)  # which fetches several at a time, and says by their ids which are which
    by_asset = {name.partition("/")[0]: buffer.getvalue() for name, buffer in downloaded.items()}
    if len(source.assets) == 1:
        return list(by_asset.values())
    return [by_asset[str(asset.id)] for asset in source.assets]


def _check_same(found, expected):
    found = np.asarray(found)
    for what in ("dtype", "shape"):
        seen, there = getattr(found, what), getattr(expected, what)
        assert seen == there, f"{what} is {seen}, and {there} in the files"
    assert np.array_equal(found, expected), "other values than in the files"


def _gather(expected, check):
    found = []
    for key, values in expected.items():
        try:
            check(key, values)
        except Exception as error:  # noqa: BLE001 - other people's clients raise anything; it is told
            found.append(_sentence(key, error))
    return found


def _sentence(what, error):
    return f"{what}: {type(error).__name__}: {error}"
