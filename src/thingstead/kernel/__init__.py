"""Rules-free ground: ids, errors, clock, JSON values and limits. Standard library only, no I/O."""
