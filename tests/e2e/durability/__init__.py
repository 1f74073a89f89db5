"""Whether what was acknowledged is stored: a load, a kill, and what is found afterwards."""
