"""The command line: one module per command. Commands import what they need when they run."""
