"""Values: what things write and what is read back. Every transport ends in `submit_encoded`."""
