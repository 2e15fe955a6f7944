"""Turn one Resource or old StreamResource into today's StreamResource.

In comes a document of any schema; out goes one with `mimetype`, `uri` and `parameters`. Called by the
`Translator`. Pure: paths are joined, never looked up.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HDF5 = "application/x-hdf5"
UNKNOWN = "application/octet-stream"

_HDF5_SPECS = (
    "HDF5",
    "AD_HDF5",
    "AD_HDF5_SINGLE",
    "AD_HDF5_SWMR",
    "AD_HDF5_SWMR_STREAM",
    "AD_HDF5_SWMR_SLICE",
    "AD_HDF5_GERM",
    "EIGER2_STREAM",
    "MERLIN_FLY_STREAM_V2",
    "MERLIN_HDF5_BULK",
    "PANDA",
    "PIL100k_HDF5",
    "PIL100K_HDF5",
    "ROI_HDF5_FLY",
    "ROI_HDF51_FLY",
    "SIS_HDF51_FLY_STREAM_V1",
    "TPX_HDF5",
    "XPS3",
    "XSP",
    "XSP3",
    "XSP3_BULK",
    "XSP3_STEP",
    "ZEBRA_HDF51_FLY_STREAM_V1",
)

MIMETYPE_OF_SPEC: Mapping[str, str] = {
    **dict.fromkeys(_HDF5_SPECS, HDF5),
    "AD_TIFF": "multipart/related;type=image/tiff",
    "NPY_SEQ": "multipart/related;type=application/x-npy",
    "PIZZABOX_ENC_FILE_TXT_PD": "text/csv",
}
"""Specs that instruments in the field emit (the table of bluesky-tiled-plugins 2.0)."""

_DATASET_OF_SPEC = {
    **dict.fromkeys(["AD_HDF5", "AD_HDF5_SINGLE", "AD_HDF5_SWMR", "HDF5"], "/entry/data/data"),
    **dict.fromkeys(["XSP", "XSP3", "TPX_HDF5"], "/entry/instrument/detector/data"),
}
_FIELDS = ("uid", "data_key", "mimetype", "uri", "parameters")
_HAS_SCHEME = re.compile(r"[a-z0-9+]+://")

Doc = dict[str, Any]


def renew_resource(doc: Doc, mimetype_of_spec: Mapping[str, str], note: Callable[[str], None]) -> Doc:
    """Return the StreamResource in today's schema; the very object that was given where nothing is old in it.

    Parameters
    ----------
    doc
        A Resource, or a StreamResource of any version. Not altered.
    mimetype_of_spec
        What is not in here becomes `application/octet-stream`, with a note.
    note
        Is told in a sentence what had to be assumed.
    """
    if "mimetype" in doc:
        mimetype, uri, old = doc["mimetype"], doc.get("uri"), doc.get("parameters") or {}
        parameters = _renew_parameters(mimetype, old)
        if parameters == old and "spec" not in doc:
            return doc
    else:
        spec = doc.get("spec") or ""
        mimetype, uri = _mimetype(spec, mimetype_of_spec, note), _uri_of_resource(doc, note)
        old = {**(doc.get("resource_kwargs") or {}), "spec": spec}
        if spec in _DATASET_OF_SPEC:
            old["dataset"] = old.get("dataset") or _DATASET_OF_SPEC[spec]
        parameters = _renew_parameters(mimetype, old)
    new = {"data_key": "", **doc, "mimetype": mimetype, "parameters": parameters, "uri": uri}
    return {name: new[name] for name in _FIELDS if new.get(name) is not None}


def _mimetype(spec: str, mimetype_of_spec: Mapping[str, str], note: Callable[[str], None]) -> str:
    mimetype = mimetype_of_spec.get(spec) or mimetype_of_spec.get(spec.upper())
    if mimetype is None:
        note(
            f"The format of Resource spec {spec!r} is not known; its files are registered as bytes. To read them as"
            f" arrays, give the writer spec_to_mimetype={{{spec!r}: ...}} and replay the run."
        )
    return mimetype or UNKNOWN


def _renew_parameters(mimetype: str, parameters: Mapping[str, Any]) -> Doc:
    """Use today's words for the frames of an event and for the place in an HDF5 file."""
    new = dict(parameters)
    if frames := new.pop("frame_per_point", None):
        new["multiplier"] = frames
    if mimetype == HDF5 and "path" in new:
        new["dataset"] = new.pop("path")
    return new


def _uri_of_resource(doc: Doc, note: Callable[[str], None]) -> str | None:
    if not (path := doc.get("resource_path")):
        note(f"Resource {doc.get('uid')!r} has no resource_path, so its files are not registered.")
        return None
    root = doc.get("root") or ""
    uri = file_uri(root, path, windows=doc.get("path_semantics") == "windows")
    if not (root or path).startswith(("/", "\\")) and not re.match(r"[A-Za-z]:|[a-z0-9+]+://", root or path):
        note(f"Resource {doc.get('uid')!r} has the relative path {root or path!r}; it is taken from '/'.")
    return uri


def file_uri(root: str, path: str, *, windows: bool = False) -> str:
    r"""Return the URI of a file below a root, as Tiled writes it: on localhost, and without percent-encoding.

    A slash at the end of `path` is kept, since a template may append a file's name to it.

    Examples
    --------
    >>> file_uri("/data/2024", "/scan_1/")
    'file://localhost/data/2024/scan_1/'
    >>> file_uri("", "/data//a b.h5")
    'file://localhost/data/a b.h5'
    >>> file_uri("C:\\data", "x.h5", windows=True)
    'file://localhost/C:/data/x.h5'
    >>> file_uri("", "file:///data/x.h5")
    'file://localhost/data/x.h5'
    """
    if windows:
        root, path = root.replace("\\", "/"), path.replace("\\", "/")
    whole = posixpath.join(root, path.lstrip("/")) if root else path
    if _HAS_SCHEME.match(whole):
        return whole.replace(":///", "://localhost/", 1)
    slash = "/" if path.endswith("/") else ""
    whole = whole if whole.startswith("/") else f"/{whole}"
    return f"file://localhost{PurePosixPath(whole)}".rstrip("/") + slash
