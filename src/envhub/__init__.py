"""envhub: the package manager, runtime and hub for simulation environments."""

__version__ = "0.1.0.dev0"
