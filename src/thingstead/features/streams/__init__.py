"""Live streams with the right to them: whose events, for how long, and what was missed."""
