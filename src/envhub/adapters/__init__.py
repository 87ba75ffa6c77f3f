"""One module per ecosystem, its import at the top."""
