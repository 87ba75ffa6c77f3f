"""The hub that one hosts oneself: huggingface_hub, hf, git and git-lfs talk to it unmodified."""
