"""For those who test writers, readers and plugins: documents go in, what must be readable comes out.

`documents` builds runs by hand, `strategies` with Hypothesis; `expected` says what must be readable afterwards;
`contract` is a suite of tests to subclass, and `persisters` one for places that hold values; `leaks` is a pytest plugin.
Import them from where they are: `strategies` needs Hypothesis, `leaks` and `persisters` pytest, and `contract` both, and
nothing else of Tilewright does.
"""
