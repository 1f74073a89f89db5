"""Whether who comes back gets what it missed: writers, listeners that break off, restarts."""
