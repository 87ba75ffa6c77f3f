"""Where repos live: one module per kind of hub, all behind the Protocol in `base`."""
