"""`hf auth login` in a browser: a device shows a code, somebody types it in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.conftest import Running, run_hub
from tests.server.visitor import visiting


class Device:
    """A program that waits to be signed in."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.shown = running.client.post(
            f"{running.url}/oauth/device", data={"client_id": "hf"}
        ).json()

    def poll(self) -> dict[str, Any]:
        """Ask for the token."""
        wish = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": self.shown["device_code"],
        }
        answer = self._running.client.post(f"{self._running.url}/oauth/token", data=wish)
        found: dict[str, Any] = answer.json()
        assert answer.status_code == (400 if "error" in found else 200)
        return found

    @property
    def form(self) -> dict[str, str]:
        return {"code": self.shown["user_code"]}

    @property
    def page(self) -> str:
        """Where to go with the code."""
        address: str = self.shown["verification_uri_complete"]
        return address.removeprefix(self._running.url)


def test_with_a_token(running: Running) -> None:
    """A device gets a token when somebody types its code and a token of theirs, and only then."""
    device = Device(running)
    assert device.poll() == {"error": "authorization_pending"}
    assert device.poll() == {"error": "slow_down"}
    narrow = running.hub.accounts.new_token("ada", "n", "fine", scopes={"a/b": "read"})
    right = {**device.form, "token": running.tokens["ada"]}
    with visiting(running) as visitor:
        assert device.shown["user_code"] in visitor.get(device.page)
        visitor.send("/device", expect=401, **device.form, token="hf_wrong")
        visitor.send("/device", expect=403, **device.form, token=narrow)
        visitor.send("/device", expect=404, **{**right, "code": "AAAA-AAAA"})
        visitor.send("/device", expect=200, **right)
        assert "signed in as ada" in visitor.page
        visitor.get("/device")
        visitor.send("/device", expect=404, **right)
        assert "<script>" not in visitor.get("/device?code=%22%3E%3Cscript%3E")
    got = device.poll()
    assert running.ask("GET", "/api/whoami-v2", token=got["access_token"]).json()["name"] == "ada"
    assert device.poll() == {"error": "expired_token"}
    odd = running.client.post(f"{running.url}/oauth/token", data={"grant_type": "x"})
    assert odd.json() == {"error": "unsupported_grant_type"}


def test_when_signed_in(running: Running) -> None:
    """Who is signed in at the browser types the code alone."""
    device = Device(running)
    with visiting(running, "bob") as visitor:
        assert "A token of yours" not in visitor.get(device.page)
        visitor.send("/device", expect=200, **device.form)
    token = device.poll()["access_token"]
    assert running.ask("GET", "/api/whoami-v2", token=token).json()["name"] == "bob"


def test_no_longer_than_what_it_was_made_with(running: Running) -> None:
    """A device's token ends with the one that somebody consented with."""
    device = Device(running)
    short = running.hub.accounts.new_token("bob", "short", "read", seconds=100)
    with visiting(running) as visitor:
        visitor.get(device.page)
        visitor.send("/device", expect=200, **device.form, token=short)
    got = device.poll()
    assert 90 < got["expires_in"] <= 100
    auth = running.ask("GET", "/api/whoami-v2", token=got["access_token"]).json()["auth"]
    assert auth["accessToken"]["role"] == "read"


def test_guessing_codes_is_slow(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who tries many codes has to wait."""
    for hub in run_hub(tmp_path_factory.mktemp("codes"), failures_per_minute=5):
        with visiting(hub, "eve") as visitor:
            visitor.get("/device")
            codes = [{"form_pass": visitor.form_pass, "code": f"{n}"} for n in range(8)]
            statuses = [visitor.post("/device", form).status_code for form in codes]
        assert statuses == [404] * 4 + [429] * 4
