"""A URL of a Zarr store comes in, what Zarr opens goes out; `zarr_store` calls it, and the format on the server.

    s3://bucket/lab/south.zarr      obstore, of s3://bucket: credentials, region and endpoint are the environment's (AWS_…)
    gs://…, az://…                  obstore as well (GOOGLE_…, AZURE_…)
    https://host/south.zarr         obstore, without credentials
    any other, and without obstore  fsspec

Nothing secret is taken from a URL, since URLs are in documents and in the catalog.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tilewright.errors import InputError, SetupError, TransientError
from tilewright.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = re.compile(
    r"(?P<root>(?P<scheme>[a-z0-9+]+)://(?P<host>[^/?#]*))/*(?P<path>[^?#]*)(?P<more>.*)", re.DOTALL
)
_WEB = ("http", "https")
_BUCKETS = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
"""Schemes of obstore that need credentials."""
_WITH_USER = ("abfs", "abfss")
"""Schemes that have a container before the @."""
_HDF5 = (".h5", ".hdf5", ".hdf")
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_CLIENTS = 16
"""Buckets and hosts whose connections are kept open."""
_OF_MACHINES = ("169.254.169.254", "metadata.google.internal")
"""Where clients ask for the credentials of a machine in a cloud, if the environment has none."""
_REFUSED = ("PermissionDeniedError", "UnauthenticatedError")
"""Names of obstore's exceptions; obstore may not be installed."""


def is_url(place: str) -> bool:
    """Say whether this is a URL, and not a path.

    >>> is_url("s3://bucket/south.zarr"), is_url("/data/south.zarr"), is_url("file:///data/south.zarr")
    (True, False, False)
    """
    found = _PARTS.fullmatch(place)
    return found is not None and found["scheme"] != "file"


def checked(url: str) -> str:
    """Return the URL of a store, without a slash at its end.

    Raises
    ------
    InputError
        If it is one of a file, or has a secret in it, which would get into documents; that is not shown.

    Examples
    --------
    >>> checked("s3://bucket/south.zarr/")
    's3://bucket/south.zarr'
    """
    root, scheme, host, path, more = _parts(url)
    user, at, name = host.rpartition("@")
    if more or (at and (scheme not in _WITH_USER or ":" in user)):
        raise InputError(
            f"{scheme}://{name}/{path} was given with a user, a password, or what follows a ? or #: such a URL would be in the catalog; "
            "give it without, and the credentials in the environment (AWS_ACCESS_KEY_ID, …)"
        )
    if not url.isprintable():
        raise InputError(f"{url!r} holds what is no text")
    if path.lower().endswith(_HDF5):
        raise InputError(
            f"cannot read {url}: HDF5 files are read from disks only; copy it to a folder, and give that. At URLs, Zarr stores are read"
        )
    return f"{root}/{path}".rstrip("/")


def located(place: Path | str) -> dict[str, Any]:
    """Return the arguments of `zarr.open_group` and `zarr.open_array` that say where something is.

    Parameters
    ----------
    place
        A path, or a URL.

    Raises
    ------
    SetupError
        If what reads such URLs is not installed, or does not know where to ask: a message of its own says which setting is missing.
    """
    if isinstance(place, Path):
        return {"store": place}
    root, scheme, _, path, _ = _parts(place)
    is_of_obstore = scheme in (*_WEB, *_BUCKETS)
    if is_of_obstore and _has_obstore():
        return {"store": _client(root), "path": unquote(path) if scheme in _WEB else path}
    return {"store": _of_fsspec(place, needs_obstore=is_of_obstore)}


@contextmanager
def refusals(place: Path | str) -> Iterator[None]:
    """Turn what a network says into errors that say what to do; nothing else, and nothing of what a disk says.

    Raises
    ------
    SetupError
        If the server wants other credentials.
    TransientError
        If it does not answer, or not as it should.
    """
    try:
        yield
    except (FileNotFoundError, ValueError, KeyError, TypeError, RuntimeError):  # of what is there, or is not
        raise
    except Exception as error:
        if isinstance(place, Path):
            raise
        told = str(error).partition("\n")[0] or type(error).__name__
        is_refused = isinstance(error, PermissionError) or type(error).__name__ in _REFUSED
        if is_refused or any(host in told for host in _OF_MACHINES):
            raise SetupError(
                f"not allowed to read {place}: set the credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …; "
                f"AWS_SKIP_SIGNATURE=true for a public bucket), where it is recorded and where the server runs. {told}"
            ) from error
        raise TransientError(f"cannot read {place}; try again later, or check the address. {told}") from error


def _parts(url: str) -> tuple[str, str, str, str, str]:
    found = _PARTS.fullmatch(url)
    assert found is not None, "who calls has asked is_url"
    return found["root"], found["scheme"], found["host"], found["path"], found["more"]


def _has_obstore() -> bool:
    try:
        import obstore  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    return True


@lru_cache(_CLIENTS)
def _client(root: str) -> Any:
    """Return Zarr's store of a whole bucket or host; its connections, and the credentials it has fetched, are used again."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
    from obstore.store import HTTPStore, from_url  # noqa: PLC0415
    from zarr.storage import ObjectStore  # noqa: PLC0415 - slow to import

    # Not every https:// is Amazon's or Microsoft's, and none is sent the environment's credentials.
    make: Any = HTTPStore.from_url if root.startswith("http") else from_url
    try:
        # Who sets an endpoint of http:// means it.
        store = make(root, client_options={"allow_http": True}, retry_config=_RETRIES)
    except (BaseError, ValueError) as error:
        told = str(error).partition("\n")[0]
        raise SetupError(
            f"cannot open {root}: {told}; such settings are taken from the environment"
        ) from error
    return ObjectStore(store, read_only=True)


def _of_fsspec(url: str, *, needs_obstore: bool) -> Any:
    from zarr.storage import FsspecStore  # noqa: PLC0415 - slow to import

    try:
        return FsspecStore.from_url(url, read_only=True)
    except ImportError as error:
        if needs_obstore:
            with extra("s3", f"cannot read {url} without obstore"):
                raise
        raise SetupError(
            f"cannot read {url}: {error} (where it is recorded, and where the server runs)"
        ) from error
    except ValueError as error:
        raise InputError(f"cannot read {url}: {error}") from error
