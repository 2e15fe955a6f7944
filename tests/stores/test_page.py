"""The page's examples run, one after the other."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"


def test_the_pages_examples_run(tmp_path, monkeypatch, s3_server, make_bucket):
    make_bucket("lab")
    for name, value in {
        "AWS_ENDPOINT": s3_server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    names, told = {}, []
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for example in examples:
        exec(example.replace("print(", "told("), names | {"told": told.append}, names)
    assert len(examples) == 5
    assert (tmp_path / "data" / "1566065093213" / "00000000000000").stat().st_size == 88200
    assert names["sound"].samples[[0, -1]].tolist() == [1, 11]
    assert len(names["sound"]) == 441000
    assert list(names["notes"]) == [{"day": "monday", "name": "weather"}]
    assert [str(result) for result in told] == ["12 copied, 0 there already", "0 copied, 12 there already"]
    assert (tmp_path / "array" / "1566065093213" / "left" / "info.json").is_file()
    assert (tmp_path / "array.npz").is_file()


@pytest.mark.parametrize("name", re.findall(r"`((?:[A-Z]\w+|\w+_store|copy))\(", PAGE.read_text()))
def test_names_of_the_page_are_public(name):
    import tilewright.stores

    assert name in tilewright.stores.__all__
