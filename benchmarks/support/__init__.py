"""The measuring rig that all benchmarks share; knows how to run things, not what they prove."""
