"""Magic resources: keys that begin with `$` and hold static data instead of a timeline."""
