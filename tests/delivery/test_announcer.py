"""One line in the log when delivery gets worse, one when it is well again, and none for each try."""

import logging

import pytest

from tilewright.delivery.announcer import BEHIND_SECONDS, Announcer

LEVEL, BEHIND, AWAY = (None, 0.0), (None, BEHIND_SECONDS + 1), ("nobody answers", 0.0)


@pytest.mark.parametrize(
    ("course", "lines"),
    [
        ([LEVEL, LEVEL], []),
        ([AWAY, AWAY, ("another error", 99.0), AWAY], ["waits"]),
        ([AWAY, AWAY, LEVEL, LEVEL], ["waits", "goes on"]),
        ([AWAY, BEHIND, BEHIND, LEVEL], ["waits", "goes on", "behind", "caught up"]),
        ([BEHIND, BEHIND, (None, BEHIND_SECONDS + 50), LEVEL], ["behind", "caught up"]),
        ([AWAY, LEVEL, AWAY, LEVEL], ["waits", "goes on", "waits", "goes on"]),
    ],
)
def test_what_is_said(course, lines, caplog):
    announcer = Announcer("http://server")
    for error, seconds in course:
        announcer.tell(error, seconds)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(lines)
    assert all(words in line for words, line in zip(lines, said, strict=True))
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}
