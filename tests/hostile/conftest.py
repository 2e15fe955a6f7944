"""Give every test that asks for a `case` each case of the corpus."""

from .corpus import CASES


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: case.name)
