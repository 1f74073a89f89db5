"""Links: which user owns which thing, since when, and what may be seen of it."""
