"""Live updates: who hears of a write, in what order, and how much may wait for whom."""
