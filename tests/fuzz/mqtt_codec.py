"""Fuzzes the MQTT codec, guided by coverage.

    python tests/fuzz/mqtt_codec.py -atheris_runs=100000 tests/fuzz/corpus/mqtt

It needs Atheris, which has a wheel for CPython 3.11 on Linux x86-64. New inputs are written
to the first directory named, so name a scratch directory first for long runs. What must hold
stands in `mqtt_target.py`; pytest replays the kept corpus without Atheris.
"""

import importlib
import sys
from pathlib import Path


def main():
    import atheris

    sys.path.insert(0, str(Path(__file__).parents[1]))
    with atheris.instrument_imports(include=["thingstead.transports.mqtt", "fuzz.mqtt_target"]):
        target = importlib.import_module("fuzz.mqtt_target")
    atheris.Setup(sys.argv, target.check_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
