"""Products: kinds of thing, and the activation codes that make things of them."""
