"""Each format in each dialect of documents: written by us, read by everybody, and beside what Bluesky's writer makes of it.

What is found makes the page docs/formats/conformance.md. To write it anew:

    TILEWRIGHT_WRITE_CONFORMANCE=1 python -m pytest tests/compatibility/test_conformance.py
"""

import contextlib
import copy
import os
import warnings

import pytest
from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter as BlueskyWriter

from tilewright import TiledWriter, open_catalog

from .cases import CASES, table
from .cases.base import HDF5, Emitter, external, file_uri
from .cases.hdf5 import CHUNK, PLACE, Acquisition
from .cases.table import DIFFERS, EQUAL, NOT_THERE, PAGE, Outcome
from .readings import faults_of_keys, faults_of_stream, layout
from .structure_clients import bluesky_clients, plain_clients

pytestmark = pytest.mark.timeout(1800)
"""Seconds: all cases are written and read by everybody before the first test, some thousands of requests."""

US, PLAIN, BLUESKY = "Tilewright", "plain Tiled", "bluesky-tiled-plugins"
CLIENTS = {
    US: open_catalog,
    PLAIN: lambda container: container.new_variation(structure_clients=plain_clients()),
    BLUESKY: lambda container: container.new_variation(structure_clients=bluesky_clients()),
}
CHECKS = {US: [faults_of_keys, faults_of_stream], PLAIN: [faults_of_keys], BLUESKY: [faults_of_stream]}
"""How each reads our runs. The two others share the classes that read a key, and those that read a stream."""

OTHER_LENGTH = "its `read()` of a stream takes only arrays of as many rows as there are events"
FILES = "its `read()` of a stream asks for the values of files, too"
KEYS_ONLY = {
    "concatenated": OTHER_LENGTH,
    "concatenated_rows": OTHER_LENGTH,
    "declared_as_bytes": FILES,
    "declared_as_bytes_by_template": FILES,
    "files_of_samples": OTHER_LENGTH,
    "files_of_two_channels": OTHER_LENGTH,
    "filled": "its `read()` of a stream makes a text of each list in a table",
    "indices_in_the_datum": OTHER_LENGTH,
    "last_frames": OTHER_LENGTH,
    "lines_left_out": OTHER_LENGTH,
    "lines_not_promised_yet": OTHER_LENGTH,
    "more_rows_than_events": OTHER_LENGTH,
    "packed_files_of_samples": OTHER_LENGTH,
    "semicolons": OTHER_LENGTH,
    "several_rows_an_event": OTHER_LENGTH,
    "spec_of_text": FILES,
    "unknown_mimetype": FILES,
    "unknown_spec": FILES,
}
"""Cases whose data keys Bluesky's client reads, but not the stream as a whole, and why."""

ON_PURPOSE = {
    "spec_of_text": "an array of the declared shape there, of a text with words in it; here the file, to be downloaded",
}
"""Cases that both writers support, and that are laid out otherwise in ours, and why."""

OTHER_ROWS = "it shows the first rows of the file instead of those that the indices name"
REFUSED_ORDER = "its documents have to come before the event that names them"
NO_FORMAT = "it has no format for Zarr"
NO_TILEDB = "it has no format for TileDB"
NO_SOUND = "it has no format for files of sound"
NO_TFRECORD = "it has no format for TFRecords"
NO_PNG = "it has no format for PNG"
NO_ROWS_OF_NPY = "it has no format for NPY files of many rows"
UNSUPPORTED = {
    "coloured_pngs": NO_PNG,
    "datum_after_its_event": REFUSED_ORDER,
    "embeddings": NO_TFRECORD,
    "embeddings_as_lists": NO_TFRECORD,
    "embeddings_left_out": NO_TFRECORD,
    "every_spec_of_hdf5": "it turns `PIL100k_HDF5` into capitals, and does not find that",
    "files_of_samples": NO_SOUND,
    "files_of_two_channels": NO_SOUND,
    "filled": "it takes the dtype from the values",
    "group_of_version_2": NO_FORMAT,
    "group_of_version_3": NO_FORMAT,
    "lines_left_out": OTHER_ROWS,
    "more_in_the_first_of_two_files": "it shows what was not promised in place of what is in the second file",
    "npys_of_a_template": "it has a template of its own, and finds no files",
    "npys_staged_twice": "a second StreamResource without a template is refused",
    "one_attribute": NO_TILEDB,
    "packed_files_of_samples": NO_SOUND,
    "pngs": NO_PNG,
    "pngs_of_any_names": NO_PNG,
    "resource_after_all_events": REFUSED_ORDER,
    "row_of_an_array": NO_TILEDB,
    "rows_left_out": OTHER_ROWS,
    "rows_of_npy_files": NO_ROWS_OF_NPY,
    "rows_that_begin_later": OTHER_ROWS,
    "several_arrays": NO_TILEDB,
    "several_pngs_an_event": NO_PNG,
    "several_stores": NO_FORMAT,
    "structures": "it takes lists only, and makes no structures of them",
    "unknown_mimetype": "it registers it as an array of this mimetype, which the server refuses",
    "windows": "it takes the backslashes for a part of the file's name",
}
"""Cases that Bluesky's writer refuses, or that its own client reads wrongly, and why."""


@pytest.fixture(scope="module")
def outcomes(client, files, tmp_path_factory):
    """Have all cases written by both writers, then read; return what became of each, by its name."""
    ours, theirs = (client.create_container(f"conformance_{who}") for who in ("ours", "theirs"))
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # What cannot be read stays so, and need not be asked for ten times; twice, for the server hangs up on errors.
        patch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)
        mine, others = (
            {case.name: case.write(folder(files, who, case.name), stack) for case in CASES}
            for who in ("ours", "theirs")
        )
        write_by_us(ours, mine, tmp_path_factory.mktemp("journal"))
        raised = {name: written_by_bluesky(theirs, written) for name, written in others.items()}
        opened = {who: open_(ours) for who, open_ in CLIENTS.items()}
        by_bluesky = CLIENTS[BLUESKY](theirs)
        return {
            name: outcome(
                {who: stream_of(catalog, mine[name]) for who, catalog in opened.items()},
                mine[name].expected,
                None if raised[name] else stream_of(by_bluesky, others[name]),
                raised[name],
            )
            for name in mine
        }


def folder(files, *parts):
    place = files.joinpath("conformance", *parts)
    place.mkdir(parents=True)
    return place


def write_by_us(container, runs, journal):
    with TiledWriter(container, journal=journal, on_stop="return", strict=True) as writer:
        for written in runs.values():
            for name, doc in written.documents:
                writer(name, doc)
        assert writer.flush(300)
        assert writer.status().failed == {}


def written_by_bluesky(container, written):
    """Write a run with Bluesky's writer, and return what that raised."""
    writer = BlueskyWriter(container)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of concat
            for name, doc in copy.deepcopy(written.documents):
                writer(name, doc)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is to be found out
        return [f"{type(error).__name__}: {error}"]
    return []


def stream_of(catalog, written):
    return catalog[written.documents[0][1]["uid"]]["primary"]


def outcome(streams, expected, theirs, raised):
    """Return what became of a case.

    Parameters
    ----------
    streams
        Our run, as each client has it.
    theirs
        The run of Bluesky's writer in the hands of its own client; None if it raised something, which is in `raised`.
    """
    faults = {
        who: [fault for check in CHECKS[who] for fault in check(stream, expected)]
        for who, stream in streams.items()
    }
    keys_only = bool(faults[BLUESKY]) and not faults_of_keys(streams[BLUESKY], expected)
    refused = raised or faults_of_keys(theirs, expected, parts=False)
    return Outcome(
        faults, keys_only, refused, [] if refused else differences(streams[PLAIN], theirs, expected)
    )


def differences(ours, theirs, expected):
    """Return in what the layout of our data keys is not that of theirs."""
    found = []
    for key in expected:
        mine, other = layout(ours, key), layout(theirs, key)
        found += [
            f"{key}: {what} {mine.get(what)} and {other.get(what)}"
            for what in {**mine, **other}
            if mine.get(what) != other.get(what)
        ]
    return found


@pytest.mark.parametrize("one", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("reader", CLIENTS)
def test_everybody_reads_what_is_in_the_files(reader, one, outcomes):
    found = outcomes[one.name]
    if reader == BLUESKY and one.name in KEYS_ONLY:
        assert found.keys_only, "Take it out of KEYS_ONLY, or see why the keys cannot be read"
    else:
        assert found.faults[reader] == []


@pytest.mark.parametrize("one", CASES, ids=lambda case: case.name)
def test_it_is_as_bluesky_writes_it_unless_it_is_said_why(one, outcomes):
    found = outcomes[one.name]
    said = DIFFERS if one.name in ON_PURPOSE else NOT_THERE if one.name in UNSUPPORTED else EQUAL
    assert found.beside == said, [*found.refused, *found.differences]


def test_reasons_are_of_cases():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert {*KEYS_ONLY, *ON_PURPOSE, *UNSUPPORTED} <= set(names)
    assert not ON_PURPOSE.keys() & UNSUPPORTED.keys()


def test_the_page_says_what_was_found(outcomes):
    found = table.table(CASES, outcomes, ON_PURPOSE | UNSUPPORTED, {BLUESKY: KEYS_ONLY})
    if os.environ.get("TILEWRIGHT_WRITE_CONFORMANCE"):
        page = table.fill(PAGE.read_text(), "versions", table.versions())
        PAGE.write_text(table.fill(page, "cases", found))
    assert table.place(PAGE.read_text(), "cases") == found
    assert "Made with tilewright" in table.place(PAGE.read_text(), "versions")


def test_a_length_is_published_once_it_can_be_read(write, container, tmp_path_factory, files):
    """A dataset that another process writes on all the while, read by everybody at each step."""
    steps = [1, 2, 5, 9]
    with contextlib.ExitStack() as stack:
        acquisition = Acquisition(stack, folder(files, "growing") / "one.h5")
        run = Emitter(img=external([4, 5]))
        resource = run.resource(HDF5, file_uri(acquisition.path), dataset=PLACE, chunk_shape=CHUNK)
        write(run.documents)
        for start, stop in zip([0, *steps], steps, strict=False):
            acquisition.write(stop + 1)  # one ahead of the documents
            sent = len(run.documents)
            run.steps(resource, start=start, stop=stop)
            write(run.documents[sent:])
            assert write.writer.flush(60)
            acquisition.write(stop + 2)
            expected = {"img": acquisition.read(stop)}
            assert len(expected["img"]) == stop
            for who, open_ in CLIENTS.items():
                stream = open_(container)[run.uid]["primary"]
                assert [fault for check in CHECKS[who] for fault in check(stream, expected)] == []
        sent = len(run.documents)
        write(run.written().documents[sent:])
