"""The registry knows the built-in formats, takes in those of other packages, and survives broken ones."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import TYPE_CHECKING

import pytest
from tiled.mimetypes import DEFAULT_ADAPTERS_BY_MIMETYPE

from tilewright.formats import (
    BUILT_IN,
    Format,
    UnknownFile,
    adapters_by_mimetype,
    format_for,
    open_array,
    registry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_the_server_can_read_every_built_in_format():
    mounted = adapters_by_mimetype()
    for known in BUILT_IN:
        for mimetype in known.mimetypes:
            assert format_for(mimetype) is known
            assert mimetype in mounted or mimetype in DEFAULT_ADAPTERS_BY_MIMETYPE


def test_no_two_built_in_formats_share_a_mimetype():
    mimetypes = [mimetype for known in BUILT_IN for mimetype in known.mimetypes]
    assert len(mimetypes) == len(set(mimetypes))


def test_asking_does_not_make_the_registry_grow(resource, descriptor):
    array = open_array(resource("application/x-novel"), descriptor([]))
    assert isinstance(array, UnknownFile)
    assert "application/x-novel" in array.notes[0]
    assert all("application/x-novel" not in known.mimetypes for known in BUILT_IN)


@pytest.fixture
def plugins(monkeypatch) -> Iterator[None]:
    """Two installed packages: one with a format, one that offers something else, and one that is missing."""
    module = types.ModuleType("tilewright_test_plugin")
    module.GOOD = Format(
        mimetypes=("application/x-novel",),
        open=lambda resource, descriptor: UnknownFile(resource, "plugin"),
        adapters={"application/x-novel": "tilewright_test_plugin:Adapter"},
    )
    module.BAD = "not a format"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    offered = [
        importlib.metadata.EntryPoint(name, value, registry.GROUP)
        for name, value in [
            ("broken", "no_such_package:FORMAT"),
            ("bad", "tilewright_test_plugin:BAD"),
            ("good", "tilewright_test_plugin:GOOD"),
        ]
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: offered)
    registry._offered.cache_clear()
    yield
    registry._offered.cache_clear()


@pytest.mark.usefixtures("plugins")
def test_a_package_adds_its_format(resource, descriptor, caplog):
    (note,) = open_array(resource("application/x-novel"), descriptor([])).notes
    assert note.endswith("plugin")
    own = {mimetype: adapter for known in BUILT_IN for mimetype, adapter in known.adapters.items()}
    assert own["application/x-zarr"] == "tilewright.formats.zarr_stores:ZarrAdapter"
    assert adapters_by_mimetype() == own | {"application/x-novel": "tilewright_test_plugin:Adapter"}
    assert "no_such_package" in caplog.text
    assert "not a format" in caplog.text
