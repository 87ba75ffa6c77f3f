"""Found by LeRobot's plugin discovery; importing it registers `--env.type=envhub`."""
