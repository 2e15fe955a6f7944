"""Zarr stores at URLs: in S3, behind a web server, and wherever fsspec reaches."""

import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tilewright.das import checked, is_url, probe, read
from tilewright.das.urls import located
from tilewright.errors import InputError, SetupError, TransientError
from tilewright.testing.cables import START, samples_of, write_store


def assert_read(facts, url):
    assert (facts.path, facts.kind, facts.dataset) == (url, "zarr", "RawData")
    assert (facts.samples, facts.channels, facts.start, facts.irregular) == (3_000, 8, START, "")
    whole = samples_of(0, 3_000, 8)
    assert np.array_equal(read(facts), whole.T)
    assert np.array_equal(read(facts, slice(1_100, 2_000, 7), slice(2, 7)), whole[1_100:2_000:7, 2:7].T)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["south.zarr", "lab/a b/100%/süd.zarr"])
def test_s3(tmp_path, upload, zarr_format, name):
    url = upload(write_store(tmp_path / "x.zarr", zarr_format=zarr_format), name)
    assert_read(probe(url), url)
    assert_read(probe(f"{url}/"), url)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_web_server(tmp_path, web, zarr_format):
    write_store(tmp_path / "a b.zarr", zarr_format=zarr_format)
    for name in ("a b.zarr", "a%20b.zarr"):
        assert_read(probe(f"{web}/{name}"), f"{web}/{name}")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_only_fsspec_reads(tmp_path, zarr_format):
    path = write_store(tmp_path / "x.zarr", zarr_format=zarr_format)
    memory = fsspec.filesystem("memory")
    memory.put(str(path), f"/cables{zarr_format}/south.zarr", recursive=True)
    url = f"memory://cables{zarr_format}/south.zarr"
    assert_read(probe(url), url)


def test_a_url_is_no_path():
    assert is_url("s3://bucket/south.zarr")
    assert is_url("abfs://container@account.dfs.core.windows.net/x")
    for path in ("/data/s3:/x", "s3:/bucket/x", "C:\\data", "file:///data/x.zarr", "data/x.zarr", ""):
        assert not is_url(path)
    assert located(Path("/data/x.zarr")) == {"store": Path("/data/x.zarr")}


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/x.zarr",
        "https://secret@host/x.zarr",
        "https://host/x.zarr?X-Amz-Signature=secret",
        "https://host/x.zarr#secret",
        "abfs://container:secret@account/x.zarr",
    ],
)
def test_secrets_are_refused_and_not_shown(url):
    for refuse in (checked, probe):
        with pytest.raises(InputError, match="the credentials in the environment") as raised:
            refuse(url)
        assert "secret" not in str(raised.value)


def test_a_container_is_no_secret():
    assert checked("abfs://container@account/x.zarr") == "abfs://container@account/x.zarr"


@pytest.mark.parametrize("name", ["x.h5", "lab/x.HDF5"])
def test_hdf5_is_read_from_disks(name):
    with pytest.raises(
        InputError, match=rf"cannot read s3://bucket/{name}: HDF5 files .* copy it to a folder"
    ):
        probe(f"s3://bucket/{name}")


def test_not_there(upload, tmp_path, web):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "zarr.json").write_text("<html>")
    there = upload(tmp_path / "text", "text")
    for url in (f"{there}x", "s3://no-such-bucket-here/x.zarr", f"{web}/nowhere", there, f"{web}/text"):
        with pytest.raises(InputError, match="is no store of a cable") as raised:
            probe(url)
        assert str(raised.value).startswith(url)


def test_a_group_of_something_else(upload, tmp_path):
    write_store(tmp_path / "x.zarr")
    (tmp_path / "x.zarr" / "RawDataTime" / ".zarray").unlink()
    with pytest.raises(InputError, match="looked for a Zarr group with the arrays RawData and RawDataTime"):
        probe(upload(tmp_path / "x.zarr", "x.zarr"))


def test_refused(web, monkeypatch):
    with pytest.raises(SetupError, match=r"not allowed to read .*/forbidden/x\.zarr: set the credentials"):
        probe(f"{web}/forbidden/x.zarr")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{web}/forbidden")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(SetupError, match=r"not allowed to read s3://refused-bucket/x\.zarr"):
        probe("s3://refused-bucket/x.zarr")


def test_no_answer(web, free_port):
    for url in (f"{web}/busy/x.zarr", f"http://127.0.0.1:{free_port}/x.zarr"):
        with pytest.raises(TransientError, match=r"cannot read http.*try again later, or check the address"):
            probe(url)


def test_a_store_that_has_gone(tmp_path, web):
    write_store(tmp_path / "x.zarr")
    facts = probe(f"{web}/x.zarr")
    (tmp_path / "x.zarr").rename(tmp_path / "y.zarr")
    with pytest.raises(InputError, match="is no store of a cable"):
        read(facts)


def test_a_setting_that_is_missing(monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(SetupError, match=r"cannot open az://container: .*from the environment"):
        probe("az://container/x.zarr")


def test_schemes_that_nobody_knows():
    with pytest.raises(InputError, match="gopher"):
        probe("gopher://host/x.zarr")


def test_without_obstore_and_fsspec(monkeypatch):
    for name in ("obstore", "s3fs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=r"cannot read s3://b/x.zarr without obstore: .*tilewright\[s3\]"):
        probe("s3://b/x.zarr")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SetupError, match=r"cannot read gcs://b/x.zarr: .*gcsfs.*where the server runs"):
        probe("gcs://b/x.zarr")
