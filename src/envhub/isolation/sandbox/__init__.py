"""The sandbox around an env's processes: what this machine can do, and how it is done."""
