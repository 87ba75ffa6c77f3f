"""`lerobot.utils`."""
