"""Questions to several hubs at once: what is asked and understood, and whom a token goes to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envhub.errors import ArgumentError, HubError, OfflineError
from envhub.hubs.listing import Block, Listed
from envhub.search import Query, Traits, find, traits
from envhub.settings import Settings
from envhub.testing import OwnHub, repos
from envhub.testing.web import Reply, Request, serve

CLAIM = {
    "action": "Dict(grip: Discrete(2), arm: Box(-1, 1, (6,), float32))",
    "observation": "Dict(camera: Box(0, 255, (96, 96, 3), uint8))",
    "suites": {"easy": 3, "hard": 4},
    "requires-python": ">=3.10",
    "requirements": ["mujoco>=3", "numpy"],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of somebody whose own hub is one that nobody asks."""
    return Settings(tmp_path, tmp_path, endpoint="https://own.example", token="hf_of_own")


@contextmanager
def hub(*pages: Any) -> Iterator[tuple[str, list[Request]]]:
    """A hub that answers with these lists, in turn and again; yields it and what it was asked."""
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        page = pages[len(asked) % len(pages)]
        asked.append(request)
        return Reply(200, json.dumps(page).encode(), {"Content-Type": "application/json"})

    with serve(answer) as url:
        yield url, asked


def test_what_is_asked(settings: Settings) -> None:
    """Words and tags as every hub knows them, facets as ours does; nothing but lists of models."""
    query = Query(
        "pick place", tags=("arm",), licence="mit", action="discrete", pixels=True,
        tasks="> 10", python="3.11", engine="mujoco",
    )  # fmt: skip
    with hub([]) as (url, asked):
        (answer,) = find(query, [url], settings=settings, most=5)
    assert (answer.hub, answer.found, answer.error) == (url, (), None)
    common = ["envhub", "arm", "license:mit"]
    facets = ["action:discrete", "observation:pixels", "tasks:>10", "python:3.11", "engine:mujoco"]
    assert [request.path for request in asked] == ["/api/models"] * 2
    assert [request.args()["filter"] for request in asked] == [[*common, *facets], common]
    assert {request.arg("search") for request in asked} == {"pick place"}
    assert [request.arg("limit") for request in asked] == ["5", "100"]


def test_one_question_without_facets(settings: Settings) -> None:
    """Where nothing needs to be known of envs the hub is asked once."""
    with hub([{"id": "a/b"}]) as (url, asked):
        (answer,) = find(Query(everything=True), [url], settings=settings)
    assert [found.repo for found in answer.found] == ["a/b"]
    assert ["filter" in request.args() for request in asked] == [False]


def test_known_ones_come_first_and_once(settings: Settings) -> None:
    """What the hub knows to fit, then what cards say that the hub did not find."""
    known = {"id": "a/known", "env": {"facets": ["action:discrete"]}}
    said = {"id": "a/said", "cardData": {"envhub": {"action": "Discrete(2)"}}}
    other = {"id": "a/other", "cardData": {"envhub": "nonsense"}}
    with hub([known], [other, said, known]) as (url, _):
        (answer,) = find(Query(action="discrete"), [url], settings=settings)
    assert [found.repo for found in answer.found] == ["a/known", "a/said"]


def test_names_that_no_ref_can_have(settings: Settings) -> None:
    """A repo without an owner, or with a name that would mean something to a shell, is left out."""
    names = ["gpt2", "--help", "a/-b", "a/b c", "a/b/c", "\x1b/x", "a/b"]
    with hub([{"id": name} for name in names]) as (url, _):
        (answer,) = find(Query(), [url], settings=settings)
    assert [found.repo for found in answer.found] == ["a/b"]


def test_tokens_go_to_their_own_hub(settings: Settings) -> None:
    """A hub that somebody names gets no token; one's own gets the one that is meant for it."""
    with hub([]) as (url, asked):
        find(Query(), [url], settings=settings)
        find(Query(), settings=replace(settings, endpoint=url))
    assert [request.token for request in asked] == [None, "Bearer hf_of_own"]


@pytest.mark.parametrize("page", [{"error": "?"}, [{"name": "no id"}], [1]])
def test_answers_that_are_none(settings: Settings, page: Any) -> None:
    """A web server that is no hub fails alone, and says which address is wrong."""
    with hub(page) as (wrong, _), hub([{"id": "a/b"}]) as (right, _):
        bad, good = find(Query(), [wrong, right, right], settings=settings)
    assert isinstance(bad.error, HubError)
    assert wrong in str(bad.error)
    assert [found.ref for found in good.found] == [f"hub+{right}/a/b"]


def test_what_cannot_be_asked(settings: Settings) -> None:
    """Nobody offline, nobody at an address that is none, nothing about a number that is none."""
    with pytest.raises(OfflineError):
        find(Query(), settings=replace(settings, offline=True))
    with pytest.raises(ArgumentError, match="no address"):
        find(Query(), ["ftp://x"], settings=settings)
    with pytest.raises(ArgumentError, match="number of tasks"):
        Query(tasks="=>3")


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ({}, Traits()),
        ({"card": {"envhub": CLAIM}}, Traits(
            ("discrete", "continuous"), ("pixels",), 7, ">=3.10", ("mujoco",))),
        ({"env": Block(("action:discrete", "observation:vector"), ">=3.8", ("jax",), 2),
          "card": {"envhub": CLAIM}},
         Traits(("discrete",), ("vector",), 2, ">=3.8", ("jax",))),
        ({"env": Block(), "card": {"envhub": CLAIM}}, Traits(
            ("discrete", "continuous"), ("pixels",), 7, ">=3.10", ("mujoco",))),
        ({"tags": ("license:mit", "engine:box2d", "toy")}, Traits(
            engines=("box2d",), licence="mit")),
        ({"card": {"envhub": {"suites": [1], "requirements": ["-e .", "pybullet"]}}},
         Traits(engines=("pybullet",))),
        ({"card": {"envhub": {"suites": {"a": "many"}, "requirements": "mujoco"}}}, Traits()),
    ],
    ids=["nothing", "card", "hub", "hub that has only read", "tags", "odd", "nonsense"],
)  # fmt: skip
def test_traits(said: dict[str, Any], understood: Traits) -> None:
    """What the hub found out beats what the card says; nonsense says nothing."""
    assert traits(Listed("a/b", **said)) == understood


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"tasks": "7"}, True),
        ({"tasks": "=7"}, True),
        ({"tasks": ">=8"}, False),
        ({"tasks": "< 8"}, True),
        ({"tasks": "<=6"}, False),
        ({"python": "3.12"}, True),
        ({"python": "2.7"}, False),
        ({"python": "new"}, False),
        ({"engine": "jax"}, False),
        ({"action": "continuous", "pixels": True}, True),
    ],
)
def test_fit(wanted: dict[str, Any], fits: bool) -> None:
    """All of it must be so."""
    assert traits(Listed("a/b", card={"envhub": CLAIM})).fit(Query(**wanted)) is fits


def test_what_nobody_says_does_not_fit() -> None:
    """But Python: an env that does not say runs under any, one that makes no sense under none."""
    assert not any(
        Traits().fit(Query(**wanted))
        for wanted in ({"tasks": "<5"}, {"action": "discrete"}, {"pixels": True}, {"engine": "x"})
    )
    assert Traits().fit(Query(python="3.11"))
    assert not Traits(python="three").fit(Query(python="3.11"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*CLAIM]), json_values))
def test_no_card_breaks_a_search(claim: dict[str, Any]) -> None:
    """A card may say anything under the key of ours."""
    assert traits(Listed("a/b", card={"envhub": claim})).n_tasks is not None


def test_on_our_own_hub(envhub_hub: OwnHub) -> None:
    """A hub of one's own is searched in the same way, private repos with a token."""
    card = "---\ntags: [envhub]\nlicense: mit\nenvhub: {action: Discrete(2)}\n---\n# A pole"
    envhub_hub.add("you/pole", {**repos.COUNTER, "README.md": card})
    envhub_hub.add("you/secret", {**repos.COUNTER, "README.md": card}, private=True)

    def names(settings: Settings, query: Query) -> set[str]:
        return {found.repo for answer in find(query, settings=settings) for found in answer.found}

    nobody = Settings.from_environ()
    you = replace(nobody, token=envhub_hub.token, hf_endpoint="https://elsewhere.example")
    assert names(nobody, Query("pole", action="discrete", licence="mit")) == {"you/pole"}
    assert names(you, Query(action="discrete")) == {"you/pole", "you/secret"}
    assert names(you, Query(action="continuous")) == set()
