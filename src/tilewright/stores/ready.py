"""Stores that are ready for sound and for what is known of it: a place and a layout come in, an `AudioStore` or a `Store` goes out."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewright.audio import Pcm, RawPCM
from tilewright.documents.names import CATALOG_FILE
from tilewright.errors import InputError
from tilewright.sources.blocks.session_run import UNITS
from tilewright.stores.audio import AudioStore
from tilewright.stores.base import Persister
from tilewright.stores.blocks import Layout
from tilewright.stores.index_files import IndexFile
from tilewright.stores.keys import KeyMap, KeyMaps
from tilewright.stores.making import Store, make_store, persister_of
from tilewright.stores.sounds import FLACFile, WAVFile
from tilewright.stores.sources import PersisterBlocks
from tilewright.stores.values import JSONValue

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


def audio_store(  # noqa: PLR0913 - a layout has so many sides
    place: Any,
    *,
    rate: float | Fraction,
    bits: int = 16,
    channels: int = 1,
    template: str = "{session:d}/{block:014d}",
    encoding: Literal["pcm", "wav", "flac"] = "pcm",
    unit: Literal["s", "ms", "us", "ns"] = "ms",
    allow_delete: bool = False,
    index_file: str | os.PathLike[str] | None = None,
    name: str = "blocks",
) -> AudioStore:
    """Return a store of sound over a dict, the path of a folder, a persister, or a catalog.

    In a catalog a session is a run, with a stream for each sensor and all its samples in one array, as `tilewright.sources.Blocks`
    makes them, whose runs are read, too. A block is in the run's journal when it is set, and on the server a moment later; `close`, or
    the end of a with block, stops the runs.

    Parameters
    ----------
    place
        For a catalog: a directory with one, an address, a server, or an opened catalog.
    rate
        Frames a second; of a float, its decimal digits count.
    bits, channels
        Of a sample, 16, 24 or 32; and of a frame.
    template
        The path of a block, with fields session and block, and maybe sensor. "{session}" and "{block}" are integers here.
    encoding
        What a block is stored as.
    unit
        What a session's number counts since 1970, UTC: its anchor is the time of its first frame.
    index_file
        A file to keep the index in: see `index_files` for how it stays true. Not of a catalog, which is the index itself.
    name
        Of the runs of this store in a catalog, in their start documents.

    Raises
    ------
    InputError
        Nothing that a place, a rate, a template or an encoding could be.

    Examples
    --------
    >>> store = audio_store({}, rate=8000)
    >>> store[1566065093213, 0] = bytes(16000)
    >>> store.fetch("2019-08-17T18:04:53.5Z", "2019-08-17T18:04:54Z", gaps="raise")
    <Waveform start 2019-08-17T18:04:53.5Z, length 0.5 s, 4000 frames at 8000 Hz, channels 1, int16>
    """
    if unit not in UNITS:
        raise InputError(f"unit={unit!r}: expected one of {', '.join(UNITS)}.")
    keys = _audio_keys(template)
    pcm = RawPCM(bits, channels)
    layout = Layout(_rate(rate), pcm, UNITS[unit])
    value_map = _value_map(encoding, layout)
    if is_catalog(place):
        return _in_catalog(place, keys, layout, unit, encoding, name)
    persister = persister_of(place, allow_delete=allow_delete)
    store = make_store(persister, keys, value_map, allow_delete=allow_delete)
    about = {"template": template, "rate": str(layout.rate), "bits": bits, "channels": channels, "unit": unit}
    file = None if index_file is None else IndexFile(index_file, about | {"encoding": encoding})
    return AudioStore(store, PersisterBlocks(persister, keys, value_map, layout), keys, layout, file)


def metadata_store(
    place: Any,
    *,
    templates: Sequence[str] = ("{session:d}/info.json", "{session:d}/{sensor}/info.json"),
    allow_delete: bool = False,
    name: str = "blocks",
) -> Store:
    """Return a store of what is known of sessions and of sensors: values as JSON, beside the blocks or elsewhere.

    Parameters
    ----------
    place
        A dict, the path of a folder, a persister, or a catalog, as of `audio_store`.
    templates
        Paths of the values, each key has that of the first that it fits.
    name
        Of the container in a catalog that has them.

    Examples
    --------
    >>> info = metadata_store({})
    >>> info[1566065093213] = {"where": "roof"}
    >>> info[1566065093213, "left"] = {"gain": 2}
    >>> list(info)
    [1566065093213, (1566065093213, 'left')]
    """
    if is_catalog(place):
        from tilewright.stores.catalogs import CatalogPersister  # noqa: PLC0415 - Tiled is slow to import

        place, templates = (
            CatalogPersister(place, allow_delete=allow_delete),
            [f"{name}/{one}" for one in templates],
        )
    return make_store(place, KeyMaps(*map(KeyMap, templates)), JSONValue(), allow_delete=allow_delete)


def is_catalog(place: Any) -> bool:
    """Tell whether a place is a catalog, or where one is: an address, a directory with one in it, a server, or what is opened."""
    if isinstance(place, (str, Path)):
        return str(place).startswith(("http://", "https://")) or (Path(place) / CATALOG_FILE).is_file()
    return hasattr(place, "uri") and not isinstance(place, Persister)


def _in_catalog(place: Any, keys: KeyMap, layout: Layout, unit: str, encoding: str, name: str) -> AudioStore:
    from tilewright.stores.runs import RunBlocks  # noqa: PLC0415 - Tiled is slow to import

    if encoding != "pcm" or layout.rate.denominator != 1:
        raise InputError(
            f"encoding={encoding!r}, rate={layout.rate}: in a catalog samples are an array, of a whole number of frames a second."
        )
    pcm = Pcm(int(layout.rate), layout.pcm.bits, layout.pcm.channels)
    blocks = RunBlocks(place, keys, layout, pcm, unit=unit, name=name)
    # What may be deleted, a run says itself.
    return AudioStore(make_store(blocks, keys, layout.pcm, allow_delete=True), blocks, keys, layout)


def _audio_keys(template: str) -> KeyMap:
    keys = KeyMap(re.sub(r"\{(session|block)\}", r"{\1:d}", template))
    numbers = {field.name for field in keys.fields if field.is_number}
    if set(keys.names) - {"sensor"} != {"session", "block"} or numbers != {"session", "block"}:
        raise InputError(
            f"The template {template!r} is none of an audio store: expected the fields session and block, and maybe sensor, such as "
            "'{session:d}/{sensor}/data/{block:014d}'."
        )
    return keys


def _rate(rate: float | Fraction) -> Fraction:
    try:
        exact = Fraction(str(rate))
    except ValueError:
        exact = Fraction(0)
    if isinstance(rate, bool) or exact <= 0:
        raise InputError(f"rate={rate!r}: expected frames a second, above 0.")
    return exact


def _value_map(encoding: str, layout: Layout) -> RawPCM | WAVFile | FLACFile:
    pcm = layout.pcm
    if encoding == "pcm":
        return pcm
    if encoding not in ("wav", "flac"):
        raise InputError(f"encoding={encoding!r}: expected 'pcm', 'wav' or 'flac'.")
    if layout.rate.denominator != 1:
        raise InputError(
            f"rate={layout.rate}: files of sound have a whole number of frames a second; take encoding='pcm'."
        )
    made = WAVFile if encoding == "wav" else FLACFile
    return made(int(layout.rate), pcm.bits, pcm.channels)
