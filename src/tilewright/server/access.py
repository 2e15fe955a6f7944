"""Who may do what, for our routes: a request and the scopes it needs come in, the node it is about goes out.

Tiled's routes name what they depend on (`Depends`), and FastAPI works it out. Because Tiled overrides one dependency
(`get_settings`), FastAPI inspects the signatures of all of them again at each request, which is most of what a small
request costs: 14 ms of 17. Here the same functions are called by hand, with the same arguments.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from fastapi.security import APIKeyCookie, APIKeyQuery, SecurityScopes
from starlette.status import HTTP_404_NOT_FOUND
from tiled.catalog.adapter import CatalogContainerAdapter
from tiled.server import authentication as tiled
from tiled.server.connection_pool import get_database_engine, get_database_session_factory
from tiled.server.dependencies import get_entry, get_root_tree
from tiled.server.settings import get_settings
from tiled.server.utils import API_KEY_COOKIE_NAME
from tiled.structures.core import StructureFamily

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from tiled.server.settings import Settings

_IN_QUERY = APIKeyQuery(name="api_key", auto_error=False)
_IN_HEADER = tiled.StrictAPIKeyHeader(name="Authorization", scheme_name="Apikey", auto_error=False)
_IN_COOKIE = APIKeyCookie(name=API_KEY_COOKIE_NAME, auto_error=False)


def settings_of(request: Request) -> Settings:
    """Return the settings of the application that a request came to."""
    settings: Settings = request.app.dependency_overrides[get_settings]()
    return settings


async def admit(
    request: Request, path: str, scopes: Sequence[str], families: set[StructureFamily] | None = None
) -> Any:
    """Return the node at a path, of one of these families, if whoever asks has these scopes.

    Raises
    ------
    HTTPException
        401 without the scopes, 404 if there is no such node for whoever asks.
    """
    settings = settings_of(request)
    needed = SecurityScopes(list(scopes))
    bearer = await tiled.oauth2_scheme(request)
    token = await tiled.get_decoded_access_token(request, needed, bearer, settings)
    key = await tiled.get_api_key(
        await _IN_QUERY(request), await _IN_HEADER(request), await _IN_COOKIE(request)
    )
    async with asynccontextmanager(get_database_session_factory)(get_database_engine(settings)) as sessions:
        granted = await tiled.get_current_scopes(request, token, key, settings, sessions)
        await tiled.check_scopes(request, needed, granted, settings)
        principal = await tiled.get_current_principal(request, needed, bearer, token, key, settings, sessions)
        tags = await tiled.get_current_access_tags(request, key, sessions)
    return await get_entry(
        path,
        list(scopes),
        principal,
        tags,
        granted,
        get_root_tree(request),
        await tiled.get_session_state(token),
        request.state.metrics,
        families,
        request.app.state.access_policy,
    )


async def admit_to_catalog(
    request: Request, path: str, scopes: Sequence[str] = ("read:metadata",)
) -> CatalogContainerAdapter:
    """Return the container at a path, if whoever asks may see all that is in it, and a database has it.

    Raises
    ------
    HTTPException
        401 and 404 as `admit`; 404 also where Tiled's own routes have to be asked: the container is none of a catalog, or
        a policy says who may see what.
    """
    entry = await admit(request, path, scopes, {StructureFamily.container})
    policy = request.app.state.access_policy
    if policy is not None or not isinstance(entry, CatalogContainerAdapter) or entry.node.data_sources:
        raise HTTPException(HTTP_404_NOT_FOUND, "Nothing is listed here: use Tiled's own routes.")
    return entry
