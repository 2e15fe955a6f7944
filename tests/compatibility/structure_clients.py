"""Which classes of client a catalog is opened with: only Tiled's own, or Bluesky's."""

from bluesky_tiled_plugins.clients.bluesky_event_stream import BlueskyEventStream
from bluesky_tiled_plugins.clients.bluesky_run import BlueskyRun
from bluesky_tiled_plugins.clients.catalog_of_bluesky_runs import CatalogOfBlueskyRuns
from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH, Container
from tiled.utils import OneShotCachedMap

FAMILIES = ["container", "composite", "array", "bytes", "ragged", "table"]


def plain_clients():
    """Return the clients of a Tiled that knows nobody's special ones."""
    return _map({name: DEFAULT_STRUCTURE_CLIENT_DISPATCH["numpy"][name] for name in FAMILIES})


def bluesky_clients():
    """Return Tiled's clients with Bluesky's for both specs; new ones each time, for their `.v2` alters them."""
    Container.discover_clients_from_entrypoints()
    special = {
        "CatalogOfBlueskyRuns": CatalogOfBlueskyRuns,
        **dict.fromkeys(["BlueskyRun", "TilewrightRun"], BlueskyRun),
        **dict.fromkeys(["BlueskyEventStream", "TilewrightStream"], BlueskyEventStream),
    }
    return _map({**DEFAULT_STRUCTURE_CLIENT_DISPATCH["numpy"], **special})


def _map(classes):
    return OneShotCachedMap({name: lambda cls=cls: cls for name, cls in classes.items()})
