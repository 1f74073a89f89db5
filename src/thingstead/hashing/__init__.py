"""Password hashes, and the passwords that are tried first."""
