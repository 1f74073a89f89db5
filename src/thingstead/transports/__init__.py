"""The rim that speaks to clients: one folder for each wire protocol."""
