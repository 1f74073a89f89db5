"""The migrations of `values.db`, in the order that their numbers say."""
