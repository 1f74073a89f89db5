"""Pages for people who follow the link of a mail; plain HTML from the server, no scripts."""
