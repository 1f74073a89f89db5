"""The migrations of `core.db`, in the order that their numbers say."""
