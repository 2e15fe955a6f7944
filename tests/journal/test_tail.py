import pytest

from tilewright.journal import Budget, Tail

START = 100


@pytest.fixture
def tail(path):
    return Tail(path, Budget(1 << 20))


def content(size):
    return bytes(number % 251 for number in range(size))


@pytest.mark.parametrize("size", [1, 1000, 70_000, 300_000])
@pytest.mark.parametrize("piece", [1 << 14, 1 << 17])
def test_is_read_from_any_offset(tail, size, piece):
    data = content(size)
    tail.begin(START)
    for offset in range(0, size, piece):
        assert tail.append(data[offset : offset + piece])
    assert (tail.size, tail.end) == (size, START + size)
    for offset in (
        0,
        50,
        START,
        START + size // 2,
        START + (1 << 16),
        START + size - 1,
        START + size,
        START + size + 5,
    ):
        for count in (0, 1, 60, size, 2 * size):
            start, found = tail.read(offset, count)
            assert start == START
            assert found == data[max(0, offset - START) : max(0, offset + count - START)]


def test_is_emptied_from_the_front(tail):
    data = content(200_000)
    tail.begin(START)
    for offset in range(0, len(data), 1000):
        tail.append(data[offset : offset + 1000])
    gone = 0
    while (block := tail.first()) is not None:
        size = min(len(block), 30_000)
        assert data[gone : gone + size] == block[:size]
        tail.drop(size)
        gone += size
        assert tail.read(START, 1 << 20) == (START + gone, data[gone:])
        assert tail.budget.used == tail.size == len(data) - gone
        assert tail.end == START + len(data)
    assert gone == len(data)
    tail.clear()
    assert tail.read(START, 10) == (None, b"")
    assert tail.end == 0


def test_shares_a_budget(path):
    budget = Budget(1000)
    one, two = Tail(path, budget), Tail(path, budget)
    for tail in (one, two):
        tail.begin(0)
    assert one.append(bytes(600))
    assert not two.append(bytes(600))
    assert two.size == 0
    assert two.append(bytes(400))
    assert budget.used == 1000
    one.clear()
    assert budget.used == 400
    assert two.append(bytes(600))
    two.clear()
    assert budget.used == 0
