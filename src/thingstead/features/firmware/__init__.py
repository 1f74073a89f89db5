"""Images for micro-controllers: publishing them, offering them to things, following updates."""
