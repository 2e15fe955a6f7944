"""Dict-like stores, and sound by time from blocks in any of them. A place and a layout come in; values by keys go out.

    store = make_store(FolderPersister("data"), KeyMap("{session:d}/{block:014d}"), RawPCM(16))
    store[1566065093213, 0] = samples

What is in which module:

    base, paths                    what is the same of all persisters
    folders, objects, catalogs     persisters: values by paths, in files, in S3, in a Tiled catalog
    keys                           key maps: keys to paths and back
    values, sounds                 value maps: values to bytes and back
    making                         a store of the three
    copying                        from one store into another
    ready                          `audio_store` and `metadata_store`
    audio                          sound by time; `blocks` is its index, `sources` read frames, `waveforms` are what it gives

Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.stores.audio import AudioStore
    from tilewright.stores.base import DictPersister, Persister
    from tilewright.stores.blocks import Blocks, Layout
    from tilewright.stores.catalogs import CatalogPersister
    from tilewright.stores.copying import CopyResult, copy
    from tilewright.stores.folders import FolderPersister
    from tilewright.stores.index_files import IndexFile
    from tilewright.stores.keys import KeyMap, KeyMaps
    from tilewright.stores.making import Store, make_store
    from tilewright.stores.objects import ObjectPersister
    from tilewright.stores.ready import audio_store, metadata_store
    from tilewright.stores.sounds import FLACFile, RawPCM, WAVFile
    from tilewright.stores.sources import BlockSource, PersisterBlocks, Wanted
    from tilewright.stores.values import ArrowTable, JSONValue, NPYArray, ValueMap
    from tilewright.stores.waveforms import Waveform

__all__ = [
    "ArrowTable",
    "AudioStore",
    "BlockSource",
    "Blocks",
    "CatalogPersister",
    "CopyResult",
    "DictPersister",
    "FLACFile",
    "FolderPersister",
    "IndexFile",
    "JSONValue",
    "KeyMap",
    "KeyMaps",
    "Layout",
    "NPYArray",
    "ObjectPersister",
    "Persister",
    "PersisterBlocks",
    "RawPCM",
    "Store",
    "ValueMap",
    "WAVFile",
    "Wanted",
    "Waveform",
    "audio_store",
    "copy",
    "make_store",
    "metadata_store",
]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "audio": ["AudioStore"],
        "base": ["DictPersister", "Persister"],
        "blocks": ["Blocks", "Layout"],
        "catalogs": ["CatalogPersister"],
        "copying": ["CopyResult", "copy"],
        "folders": ["FolderPersister"],
        "index_files": ["IndexFile"],
        "keys": ["KeyMap", "KeyMaps"],
        "making": ["Store", "make_store"],
        "objects": ["ObjectPersister"],
        "ready": ["audio_store", "metadata_store"],
        "sounds": ["FLACFile", "RawPCM", "WAVFile"],
        "sources": ["BlockSource", "PersisterBlocks", "Wanted"],
        "values": ["ArrowTable", "JSONValue", "NPYArray", "ValueMap"],
        "waveforms": ["Waveform"],
    },
)
