"""Speed and memory of envhub, side by side with its peers: ratios, not promises."""
