import dataclasses

import ormsgpack
import pytest

from tilewright.errors import InputError
from tilewright.journal import Header, JournalReader, JournalWriter

SECRET = "fa3b-secret"


def test_a_header_comes_back(path):
    header = Header("run", "/data", 2.5, "software", {"AD_TIFF": "multipart/related;type=image/tiff"})
    JournalWriter(path, header).close()
    with JournalReader(path) as reader:
        assert reader.header == header
    assert hash(header) == hash(reader.header)


def test_rules_for_paths_come_back(path):
    header = Header(
        "run", "/data", 2.5, "software", path_map={"/mnt/det": "/data/det", "C:\\data": "/data/c"}
    )
    JournalWriter(path, header).close()
    with JournalReader(path) as reader:
        assert reader.header == header


def test_a_catalog_in_a_folder_whose_name_is_no_text_has_a_header(path):
    header = Header("run", "/data/\udcff", 2.5, "software")
    JournalWriter(path, header).close()
    with JournalReader(path) as reader:
        assert reader.header == header
        assert reader.header.is_for("/data/\udcff")


def test_fields_of_later_software_are_passed_over():
    fields = dataclasses.asdict(Header("run", None, 0.0, "s")) | {"colour": "red"}
    assert Header.decode(ormsgpack.packb(fields)) == Header("run", None, 0.0, "s")


def test_fields_that_earlier_software_did_not_write_have_their_default():
    fields = {"run": "run", "catalog": None, "created": 0.0, "software": "s"}
    assert Header.decode(ormsgpack.packb(fields)).spec_to_mimetype == {}
    assert Header.decode(ormsgpack.packb(fields)).path_map == {}


@pytest.mark.parametrize("payload", [b"", b"\xc1", ormsgpack.packb([1, 2]), ormsgpack.packb({"run": "x"})])
def test_another_header_is_refused(payload):
    with pytest.raises(InputError, match="no header of a journal"):
        Header.decode(payload)


@pytest.mark.parametrize(
    ("catalog", "kept"),
    [
        (f"http://host:8000/api/v1?api_key={SECRET}", "http://host:8000/api/v1"),
        (f"http://host:8000/api/v1?other=1&api_key={SECRET}#part", "http://host:8000/api/v1"),
        (f"https://alice:{SECRET}@host/api/v1/a/b", "https://host/api/v1/a/b"),
        (f"https://alice:{SECRET}@[::1]:8000/", "https://[::1]:8000/"),
        (f"host:8000/api/v1?api_key={SECRET}", "host:8000/api/v1"),
        (f"http://[bad/?token={SECRET}", "http"),
        ("/data/runs? yes@home#2", "/data/runs? yes@home#2"),
        (None, None),
    ],
)
def test_no_key_or_password_reaches_a_journal(path, catalog, kept):
    header = Header("run", catalog, 0.0, "s")
    assert header.catalog == kept
    assert SECRET not in repr(header)
    JournalWriter(path, header).close()
    assert SECRET.encode() not in path.read_bytes()


def test_knows_the_catalogs_it_is_for():
    header = Header("run", "http://one/api/v1", 0.0, "s")
    assert header.is_for("http://one/api/v1")
    assert header.is_for(f"http://one/api/v1?api_key={SECRET}")
    assert not header.is_for("http://two/api/v1")
    assert Header("run", None, 0.0, "s").is_for("http://two/api/v1")
    only_digits = Header("run", header.place, 0.0, "s")
    assert only_digits.is_for("http://one/api/v1")
    assert not only_digits.is_for("http://two/api/v1")
