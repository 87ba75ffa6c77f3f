"""Where the host of an env runs: one module per level, all behind the Protocol in `base`."""
