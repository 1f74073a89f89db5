"""App users: accounts, sessions, settings, and the links that mails carry."""
