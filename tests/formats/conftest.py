"""Documents to build arrays from, and a server in this process to read them back through."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest
from tiled.catalog import in_memory
from tiled.client import Context, from_context
from tiled.server.app import build_app
from tiled.utils import import_object

from tilewright.formats import adapters_by_mimetype

if TYPE_CHECKING:
    from tilewright.formats import ExternalArray

TIFF = "multipart/related;type=image/tiff"


@pytest.fixture
def resource():
    def make(mimetype=TIFF, uri="file://localhost/data/", uid="r1", data_key="img", **parameters):
        return {
            "uid": uid,
            "data_key": data_key,
            "mimetype": mimetype,
            "uri": uri,
            "parameters": parameters,
        }

    return make


@pytest.fixture
def descriptor():
    def make(shape, dtype_numpy="<u2", **spec):
        spec = {"dtype": "array", "shape": shape, "dtype_numpy": dtype_numpy, "external": "STREAM:", **spec}
        return {"uid": "d1", "name": "primary", "data_keys": {"img": spec}}

    return make


@pytest.fixture
def datum():
    def make(start, stop, stream_resource="r1", seq_nums=None):
        first, last = seq_nums or (start + 1, stop + 1)
        return {
            "uid": f"{stream_resource}/{start}",
            "stream_resource": stream_resource,
            "descriptor": "d1",
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": first, "stop": last},
        }

    return make


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for a module: its catalog takes seconds to make."""
    written, readable = tmp_path_factory.mktemp("written"), tmp_path_factory.getbasetemp()
    catalog = in_memory(
        writable_storage=[str(written)],
        readable_storage=[str(readable)],
        adapters_by_mimetype={name: import_object(path) for name, path in adapters_by_mimetype().items()},
    )
    with Context.from_app(build_app(catalog)) as context:
        yield from_context(context)


def data_source_json(array: ExternalArray) -> dict:
    source = dataclasses.asdict(array.data_source())
    return {**source, "assets": [dataclasses.asdict(a) for a in array.assets], "management": "external"}


@pytest.fixture
def register(client):
    """Register an array as the delivery does, and return its client."""

    def post(array: ExternalArray):
        key = uuid.uuid4().hex
        source = data_source_json(array)
        response = client.context.http_client.post(
            f"{client.context.api_uri}register/",
            json={
                "id": key,
                "structure_family": source["structure_family"],
                "metadata": array.metadata,
                "specs": [],
                "data_sources": [source],
            },
        )
        response.raise_for_status()
        return client[key]

    return post


@pytest.fixture
def update(client):
    """Send the present state of an array with its new assets only, as the delivery does."""

    def put(node, array: ExternalArray, sent: int):
        source = data_source_json(array)
        source["assets"] = source["assets"][sent:]
        source["id"] = node.include_data_sources().data_sources()[0].id
        uri = node.uri.replace("/metadata/", "/data_source/", 1)
        client.context.http_client.put(uri, json={"data_source": source}).raise_for_status()
        return node.refresh()

    return put
