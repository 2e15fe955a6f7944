"""Where a catalog is comes in (an address, a directory, a server, a client, a profile); a `Catalog` goes out.

Notebooks and the command line call `open_catalog`. Everything that can be wrong with an address is told here.
"""

from __future__ import annotations

from collections import ChainMap
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from tiled.client.constructors import from_context, from_profile
from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH, Container
from tiled.client.context import Context
from tiled.client.utils import ClientError
from tiled.profiles import load_profiles

from tilewright.clients.catalog import Catalog
from tilewright.clients.run import Run
from tilewright.clients.stream import Stream
from tilewright.documents.names import CATALOG_FILE
from tilewright.errors import InputError, NotFoundError, TilewrightError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tilewright.clients.catalog import Closeable

_PROBE_SECONDS = 5.0
"""How long to wait for a first answer. Tiled itself goes on trying for 45 s before it says that nobody is there."""

_CLIENTS = {
    "CatalogOfBlueskyRuns": Catalog,
    "TilewrightRun": Run,
    "BlueskyRun": Run,
    "TilewrightStream": Stream,
    "BlueskyEventStream": Stream,
}


def open_catalog(where: Any, **kwargs: Any) -> Catalog:
    """Open a catalog of runs, Tilewright's or Bluesky's.

    Parameters
    ----------
    where
        The address of a Tiled server, with its key if it needs one: "http://127.0.0.1:8000?api_key=…"; a
        directory that `tilewright.serve` made, on which a server is started and closed with the catalog; a
        server that `tilewright.serve` returned; a Tiled container client; or the name of a Tiled profile.
    **kwargs
        For `tiled.client.from_uri` or `from_profile`: ``api_key``, ``structure_clients``, ``timeout``…

    Returns
    -------
    Catalog
        Close it, or use it as a context manager, if you gave an address or a directory.

    Raises
    ------
    InputError
        Not the address of a Tiled server, a key that is refused or missing, a directory without a catalog.
    NotFoundError
        Neither a directory nor a profile.
    TransientError
        The server does not answer.
    SetupError
        A server on that directory is running in another process; open its address instead.
    """
    if isinstance(where, Container):
        return _wrap(where, [])
    if hasattr(where, "uri"):
        return _open_address(str(where.uri), [], kwargs)
    if isinstance(where, str) and "://" in where:
        return _open_address(where, [], kwargs)
    if isinstance(where, (str, Path)):
        return _open_name(where, kwargs)
    msg = (
        f"Cannot open a catalog at {where!r}: expected the address of a Tiled server, a directory made by "
        "`tilewright serve`, a server, a Tiled client, or the name of a Tiled profile."
    )
    raise InputError(msg)


def catalog_of(run: Run) -> Catalog:
    """Return the catalog that a run is in, on the run's own connection. One request."""
    return open_catalog(run.parent)


def _open_name(where: str | Path, kwargs: dict[str, Any]) -> Catalog:
    """Open a directory, or a profile; a directory with a catalog in it comes first."""
    directory, profiles = Path(where).expanduser(), load_profiles()
    if (directory / CATALOG_FILE).is_file():
        return _open_directory(directory, kwargs)
    if isinstance(where, str) and where in profiles:
        _, content = profiles[where]
        return _open_profile(where, content, kwargs)
    if directory.is_dir():
        msg = (
            f"The directory {directory} has no {CATALOG_FILE}, so it is not a catalog: give the directory that "
            f"`tilewright serve` uses, or make one there with `tilewright serve {directory}`."
        )
        raise InputError(msg)
    known = ", ".join(sorted(profiles)) or "none"
    msg = (
        f"There is no catalog {str(where)!r}: no such directory, and no such Tiled profile (there are: {known}). "
        "The address of a server begins with http:// or https://."
    )
    raise NotFoundError(msg)


def _open_directory(directory: Path, kwargs: dict[str, Any]) -> Catalog:
    from tilewright.server import serve  # noqa: PLC0415  # imports the server, seconds that an address does not need

    with ExitStack() as undo:
        server = serve(directory, announce=False)
        undo.callback(server.close)
        catalog = _open_address(server.uri, [server], kwargs)
        undo.pop_all()
    return catalog


def _open_profile(name: str, content: Mapping[str, Any], kwargs: dict[str, Any]) -> Catalog:
    options = dict(kwargs)
    clients = _structure_clients(options.pop("structure_clients", "numpy"))
    shown = f"profile {name!r}"
    if "uri" in content:  # and not a server within this process
        shown = _probe(content["uri"], content)
    with _explained(shown):
        client = from_profile(name, structure_clients=clients, **options)
    return _wrap(client, [client.context])


def _open_address(uri: str, owned: Sequence[Closeable], kwargs: dict[str, Any]) -> Catalog:
    options = dict(kwargs)
    clients = _structure_clients(options.pop("structure_clients", "numpy"))
    later = {name: options.pop(name) for name in ("include_data_sources", "remember_me") if name in options}
    shown = _probe(uri, options)
    with ExitStack() as undo:
        with _explained(shown):
            context, path = Context.from_any_uri(uri, **options)
            undo.callback(context.close)
            _require_key(context, shown)
            client = from_context(context, clients, node_path_parts=path, **later)
        catalog = _wrap(client, [context, *owned])
        undo.pop_all()
    return catalog


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Turn what Tiled's client raises while connecting into errors that say what to do."""
    try:
        yield
    except TilewrightError:
        raise
    except ClientError as error:
        raise _refusal(shown, error) from error
    except httpx.HTTPError as error:
        raise _silence(shown, error) from error
    except (ValueError, KeyError) as error:  # no JSON, or not Tiled's
        msg = f"What answers at {shown} is not a Tiled server ({type(error).__name__}): check the address."
        raise InputError(msg) from error


def _probe(uri: str, options: Mapping[str, Any]) -> str:
    """Ask once, with a short patience, whether anybody is there; return the address without its key."""
    try:
        shown = str(httpx.URL(uri).copy_with(query=None))
        options = {name: options[name] for name in ("verify", "trust_env") if name in options}
        response = httpx.get(uri, timeout=_PROBE_SECONDS, follow_redirects=True, **options)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        msg = f"{uri.partition('?')[0]!r} is not the address of a Tiled server ({error}): it begins with http://."
        raise InputError(msg) from error
    except httpx.TransportError as error:
        raise _silence(shown, error) from error
    if response.is_server_error:
        msg = (
            f"The server at {shown} answers {response.status_code} {response.reason_phrase}: try again later."
        )
        raise TransientError(msg)
    return shown


def _require_key(context: Context, shown: str) -> None:
    about = context.server_info.authentication
    if about.required and not about.providers and context.api_key is None:
        msg = f"The server at {shown} wants a key: write {shown}?api_key=…, as the server printed it when it started."
        raise InputError(msg)


def _silence(shown: str, error: Exception) -> TransientError:
    return TransientError(
        f"No server answers at {shown} ({type(error).__name__}: {error}): is it running (`tilewright serve`), "
        "and is the address right?"
    )


def _refusal(shown: str, error: ClientError) -> InputError:
    status = error.response.status_code
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return InputError(
            f"The server at {shown} refuses the key: give the one it printed when it started, as "
            f"{shown}?api_key=…"
        )
    return InputError(f"There is no catalog at {shown} (the answer was {status}): check the address.")


def _structure_clients(base: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return which class stands for which spec: ours for Bluesky's runs too, Tiled's for the rest."""
    Container.discover_clients_from_entrypoints()
    rest = DEFAULT_STRUCTURE_CLIENT_DISPATCH[base] if isinstance(base, str) else base
    return ChainMap(_CLIENTS, rest)  # type: ignore[arg-type]


def _wrap(client: Any, owned: Sequence[Closeable]) -> Catalog:
    if not isinstance(client, Container) or isinstance(client, (Run, Stream)):
        msg = (
            f"{client.uri} is a {type(client).__name__}, not a catalog of runs: open the container that the run "
            "is in, or use tiled.client.from_uri for what is inside a run."
        )
        raise InputError(msg)
    clients = client.structure_clients
    if not isinstance(clients, ChainMap):
        clients = _structure_clients(clients)
    catalog = Catalog(
        client.context,
        item=client.item,
        structure_clients=clients,
        queries=client._queries,  # noqa: SLF001  # a search keeps what it searched for
        sorting=client._sorting,  # noqa: SLF001  # and its order
        include_data_sources=client._include_data_sources,  # noqa: SLF001
    )
    catalog._owned = owned  # noqa: SLF001  # closed with the catalog
    return catalog
