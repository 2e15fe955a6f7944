"""What the benchmarks share: the writers compared, a server in a process of its own, lines of results."""
