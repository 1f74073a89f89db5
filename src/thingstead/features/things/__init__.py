"""Things: devices, their tokens, and how an activation code becomes one."""
