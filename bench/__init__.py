"""The benchmark suite: modelyard beside what one would otherwise take, run by run on one machine."""
