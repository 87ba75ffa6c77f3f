"""What envhub writes into a card, and that it leaves the rest alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from envhub import card
from envhub.errors import ManifestError

LINE = 'envhub.make_env("ada/pick", trust_remote_code=True)'
FACTS: dict[str, Any] = {
    "version": 1,
    "entry": "env.py",
    "observation": "Box(0, 1, (4,), float32)",
    "suites": {"a": 2, "b": 1},
    "requirements": ["gymnasium==1.0", "x ; a|b"],
}
MINE = """---
# mine
license: mit   # really
tags:
- robotics
language: en
---

# Pick

<!-- envhub -->old<!-- /envhub -->

The end.
"""


def test_no_card() -> None:
    """A repo without a README gets one that can be found."""
    text = card.with_facts("", FACTS, LINE)
    assert card.front_matter(text) == {
        "library_name": "envhub",
        "tags": ["envhub", "gymnasium", "reinforcement-learning"],
        "envhub": FACTS,
    }


def test_the_rest_stays() -> None:
    """Comments, order and text are the author's; of tags one is added, none taken away."""
    text = card.with_facts(MINE, FACTS, LINE)
    assert text.startswith(
        "---\n# mine\nlicense: mit   # really\ntags:\n- robotics\n- envhub\nlanguage: en\n"
        "library_name: envhub\nenvhub:\n  version: 1\n"
    )
    assert text.endswith("<!-- /envhub -->\n\nThe end.\n")
    assert f"envs = {LINE}" in text
    assert "| tasks | `a: 2`, `b: 1` |" in text
    assert "| requires | `gymnasium==1.0`, `x ; a\\|b` |" in text
    assert card.with_facts(text, FACTS, LINE) == text


@pytest.mark.parametrize(
    ("front", "tags"),
    [
        ("tags: robotics", ["robotics", "envhub"]),
        ("tags: [robotics, envhub]", ["robotics", "envhub"]),
        ("{license: mit, tags: [x]}", ["x", "envhub"]),
        ("library_name: lerobot\ntags:\n  - x\n\n  - y\n", ["x", "y", "envhub"]),
        ("envhub:\n  version: 0\n\n  old: 1\nlicense: mit", None),
        ("envhub: {old: 1}\r\nlicense: mit\r", None),
    ],
)
def test_other_ways_of_writing(front: str, tags: list[str] | None) -> None:
    """Whatever way the front matter is written in, it says afterwards what it should."""
    text = f"---\n{front}\n---\n# x\n"
    before = card.front_matter(text)
    after = card.front_matter(card.with_facts(text, FACTS, LINE))
    assert after["tags"] == (tags or list(card.TAGS))
    assert after["envhub"] == FACTS
    assert after["library_name"] == before.get("library_name", "envhub")
    assert {key: after[key] for key in before if key not in {"tags", "envhub"}} == {
        key: value for key, value in before.items() if key not in {"tags", "envhub"}
    }


_KEYS = st.text("abcdefghij_-", min_size=1, max_size=8).filter(lambda key: key[0] not in "-_")
_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
_VALUES = _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(_KEYS, _SCALARS, max_size=3)


@given(
    said=st.dictionaries(_KEYS, _VALUES, max_size=5),
    flow=st.booleans(),
    body=st.text(st.characters(exclude_characters="\r"), max_size=40),
)
def test_any_front_matter(said: dict[str, Any], flow: bool, body: str) -> None:
    """What a card said before it says afterwards, and writing the same again changes nothing."""
    front = yaml.safe_dump(said, default_flow_style=flow, allow_unicode=True)
    text = f"---\n{front}---\n{body}"
    after = card.with_facts(text, FACTS, LINE)
    found = card.front_matter(after)
    kept = {key: value for key, value in said.items() if key not in {"tags", "library_name"}}
    assert {key: found[key] for key in kept if key != "envhub"} == {
        key: value for key, value in kept.items() if key != "envhub"
    }
    assert card.facts_of(after) == FACTS
    assert card.with_facts(after, FACTS, LINE) == after
    if card.BEGIN not in body:
        assert after.endswith(f"---\n{body}")


@pytest.mark.parametrize("front", ["a: [", "- a\n- b", "just words", "a: &x [*x"])
def test_no_mapping(front: str) -> None:
    """Front matter that is none is told; nothing is guessed."""
    with pytest.raises(ManifestError, match=r"front matter of README\.md"):
        card.front_matter(f"---\n{front}\n---\n")


def test_nothing_of_ours() -> None:
    """A card that envhub never wrote to has no facts, nor has one with something else there."""
    assert card.facts_of("# x\n") == card.facts_of("---\nenvhub: yes\n---\n") == {}


def test_bom_and_reading(tmp_path: Path) -> None:
    """A byte order mark is no part of the text; a README that is not there is empty."""
    assert card.read(tmp_path) == ""
    (tmp_path / card.FILE).write_bytes("\ufeff---\na: 1\n---\n".encode())
    assert card.front_matter(card.read(tmp_path)) == {"a": 1}
    assert card.with_facts(card.read(tmp_path), FACTS, LINE).startswith("---\na: 1\n")
