"""A hint names what can be typed where the reader is."""

from __future__ import annotations

import pytest

from envhub.cli.hints import at_terminal


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ('allow_build=["a", "b"]   # runs', "--allow-build a --allow-build b   # runs"),
        ("uv python install 3.9   # or allow_python_download=True",
         "uv python install 3.9   # or --allow-python-download"),
        ('exclude_newer="never" takes packages', "--exclude-newer never takes packages"),
        (
            'envhub.make_env("x", n_envs=2, extra_requirements=["six", "a<2"])',
            "envhub run x --extra-requirement six --extra-requirement 'a<2'",
        ),
        ("pip install six", "pip install six"),
        ("", ""),
    ],
)  # fmt: skip
def test_options(hint: str, expected: str) -> None:
    """Arguments become options, and a call the user's own command with what it lacks."""
    typed = ["run", "x", "--extra-requirement", "six"]
    assert at_terminal(hint, typed) == expected
