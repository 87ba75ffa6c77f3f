"""The pytest plugin: what it protects, what it finds, and that it leaves other tests alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from huggingface_hub import constants, get_token

from envhub import proc
from envhub.settings import Settings, child_environ
from envhub.testing import leaks
from envhub.testing.hub import ServedHub
from envhub.testing.isolated import NetworkBlockedError

pytest_plugins = ["pytester"]

INI = "[pytest]\nenvhub_isolate = true\n"
LEAKY = """
import mmap, os, socket, subprocess
from multiprocessing import shared_memory

NULL = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
KEPT = []

def test_process(): KEPT.append(subprocess.Popen(["sleep", "60"]))
def test_orphan(): subprocess.run(["sh", "-c", "sleep 60 &"], **NULL)
def test_daemon(): subprocess.run(["setsid", "-f", "sleep", "60"], **NULL)
def test_listener(): KEPT.append(socket.create_server(("127.0.0.1", 0)))
def test_pair(): KEPT.append(socket.socketpair())
def test_memfd(): os.memfd_create("left")
def test_mapping():
    fd = os.memfd_create("left")
    os.ftruncate(fd, 4096)
    KEPT.append(mmap.mmap(fd, 4096))
    os.close(fd)
def test_segment():
    left = shared_memory.SharedMemory(create=True, size=10)
    left.close()  # the resource tracker removes it when this pytest ends
"""


def run(
    pytester: pytest.Pytester, source: str, ini: str = INI, patience: float = 0.5
) -> pytest.RunResult:
    """Run a test in a pytest of its own that has no plugin but ours."""
    pytester.makepyfile(source)
    pytester.makeini(ini)
    pytester.makeconftest(f"from envhub.testing import leaks\nleaks._PATIENCE = {patience}\n")
    options = ("-p", "no:cacheprovider", "-p", "envhub.testing.plugin", "-W", "ignore")
    return pytester.runpytest_subprocess("--disable-plugin-autoload", *options)


class NamedMemory:
    """A file in /dev/shm for as long as the block runs."""

    def __enter__(self) -> str:
        self.file = Path(f"/dev/shm/envhub-{uuid4().hex}")
        self.file.write_bytes(b"x")
        return self.file.name

    def __exit__(self, *_: object) -> None:
        self.file.unlink()


class TestLeaks:
    def test_what_is_left_behind_fails_the_test(self, pytester: pytest.Pytester) -> None:
        """Each test passes, and its end is an error that says what was left."""
        result = run(pytester, LEAKY)
        result.assert_outcomes(passed=8, errors=8)
        found = {
            "process": "process *: sleep 60",
            "orphan": "process *: sleep 60",
            "daemon": "process *: sleep 60",
            "listener": "socket:*",
            "pair": "socket:*",
            "memfd": "shared memory /memfd:left*",
            "mapping": "shared memory /memfd:left*",
            "segment": "shared memory file /dev/shm/psm_*",
        }
        for name, line in found.items():
            result.stdout.fnmatch_lines([f"*ERROR at teardown of test_{name} *", line])

    def test_marker_allows_it(self, pytester: pytest.Pytester) -> None:
        """With a reason, for libraries that keep a server of their own."""
        run(
            pytester,
            """
            import socket, pytest
            @pytest.mark.envhub_leaves('the library keeps it')
            def test_marked(): test_marked.s = socket.socketpair()
        """,
        ).assert_outcomes(passed=1)

    def test_leaked_process_is_killed(self, pytester: pytest.Pytester) -> None:
        """So that it does not disturb the tests that follow."""
        run(
            pytester,
            """
            import os, pathlib, subprocess, pytest
            def test_leaks():
                process = subprocess.Popen(['sleep', '60'])
                pathlib.Path('pid').write_text(str(process.pid))
            def test_next():
                pid = pathlib.Path('pid').read_text()
                assert pathlib.Path(f'/proc/{pid}/stat').read_text().split()[2] == 'Z'
        """,
        ).assert_outcomes(passed=2, errors=1)

    def test_what_is_just_ending_is_waited_for(self, pytester: pytest.Pytester) -> None:
        """A process that ends by itself, a socket that waits for the garbage collector."""
        source = """
            import socket, subprocess
            def test():
                subprocess.run(['sh', '-c', 'sleep 0.2 >/dev/null 2>&1 &'])
                cycle = [socket.socketpair()]
                cycle.append(cycle)
        """
        run(pytester, source, patience=60).assert_outcomes(passed=1)

    def test_what_wider_fixtures_hold_is_theirs(self, pytester: pytest.Pytester) -> None:
        """A server for the whole session is no leak of the first test that uses it."""
        run(
            pytester,
            """
            import socket, pytest
            @pytest.fixture(scope='session')
            def server():
                with socket.create_server(('127.0.0.1', 0)) as made:
                    yield made
            def test(server): pass
        """,
        ).assert_outcomes(passed=1)

    def test_the_standard_librarys_own_helpers_are_no_leaks(
        self, pytester: pytest.Pytester
    ) -> None:
        """Resource tracker, fork server, pooled arrays."""
        run(
            pytester,
            """
            import multiprocessing as mp
            from multiprocessing import shared_memory
            def nothing(): pass
            def test():
                segment = shared_memory.SharedMemory(create=True, size=10)
                segment.close()
                segment.unlink()
                test.array = mp.RawArray('b', 10)
                process = mp.get_context('forkserver').Process(target=nothing)
                process.start()
                process.join()
        """,
        ).assert_outcomes(passed=1)

    def test_each_leak_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With what is known of it; what can be killed is killed."""
        monkeypatch.setattr(leaks, "_PATIENCE", 0.1)
        before = leaks.take()
        with subprocess.Popen(["sleep", "60"]) as process, socket.socket(), NamedMemory() as name:
            found = leaks.wait_for_leaks(before, "ENVHUB_TEST=nobody")
            assert process.wait() == -signal.SIGKILL
        assert f"process {process.pid}: sleep 60" in found
        assert any(line.startswith("socket:") for line in found)
        assert any(name in line for line in found)

    def test_orphan_without_a_mark_is_named_but_not_killed(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A worker whose environment was scrubbed; it may be that of a pytest beside this one."""
        monkeypatch.setattr(leaks, "_PATIENCE", 0.1)
        before = leaks.take()
        script = f"env -i sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
        proc.run(["sh", "-c", script])
        pid = int((tmp_path / "pid").read_text())
        while leaks._words(pid) != "sleep 60":
            time.sleep(0.01)  # until the shell and env have become what they run
        found = leaks.wait_for_leaks(before, "ENVHUB_TEST=nobody")
        os.kill(pid, signal.SIGKILL)
        assert found == [f"process {pid}: sleep 60"]

    def test_orphan_of_another_test_is_its_own(self, tmp_path: Path) -> None:
        """Two pytests of one session do not blame each other."""
        before = leaks.take()
        script = f"sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
        proc.run(["sh", "-c", script], env={"ENVHUB_TEST": "another"})
        pid = int((tmp_path / "pid").read_text())
        found = leaks.wait_for_leaks(before, "ENVHUB_TEST=nobody")
        os.kill(pid, signal.SIGKILL)
        assert found == []

    def test_segment_that_another_program_uses_is_its_own(self, tmp_path: Path) -> None:
        """The machine may run more than one pytest."""
        code = (
            "import mmap, sys; f = open(sys.argv[1], 'r+'); m = mmap.mmap(f.fileno(), 0); input()"
        )
        before = leaks.take()
        with NamedMemory() as name, proc.talk([sys.executable, "-c", code, f"/dev/shm/{name}"]):
            assert name in leaks.take().segments - before.segments
            deadline = time.monotonic() + 30
            while not leaks._is_used_elsewhere(name) and time.monotonic() < deadline:
                time.sleep(0.01)  # until the other Python is up
            assert leaks._is_used_elsewhere(name)
        assert not leaks._is_used_elsewhere(name)

    def test_nothing_new_is_nothing(self) -> None:
        """Looking around is no leak itself; what others do meanwhile is theirs."""
        before = leaks.take()
        assert leaks.wait_for_leaks(before, "ENVHUB_TEST=nobody") == []
        assert os.getpid() in before.pids

    def test_elsewhere_than_on_linux_nothing_is_found(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Without `/proc` there is nothing to look at."""
        monkeypatch.setattr(leaks, "_PROC", tmp_path)
        assert leaks.take() == leaks.Inventory(*[frozenset()] * 4)
        assert leaks.wait_for_leaks(leaks.take(), "x") == []


class TestIsolation:
    def test_folders_are_the_tests_own(self, envhub_isolated: Path, envhub_home: Path) -> None:
        """Ours, Hugging Face's and everybody's."""
        settings = Settings.from_environ()
        assert settings.home == envhub_home == envhub_isolated / "envhub"
        assert not envhub_home.exists()
        paths = [settings.config, Path.home(), Path(constants.HF_HUB_CACHE)]
        paths += [Path(constants.HF_TOKEN_PATH), Path(constants.HF_HOME)]
        assert all(path.is_relative_to(envhub_isolated) for path in paths)

    def test_downloads_of_uv_and_pip_stay(self, envhub_isolated: Path) -> None:
        """Else each test would download again."""
        caches = {child_environ()[name] for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR")}
        assert not any(Path(cache).is_relative_to(envhub_isolated) for cache in caches)

    def test_tokens_are_gone(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All that look like one; what only sounds like one stays."""
        for name in ("HF_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_API_KEY"):
            monkeypatch.setenv(name, "secret")
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
        run(
            pytester,
            """
            import os
            def test():
                assert not [k for k, v in os.environ.items() if v == 'secret']
                assert os.environ['TOKENIZERS_PARALLELISM'] == 'false'
        """,
        ).assert_outcomes(passed=1)

    def test_stored_token_is_not_found(self) -> None:
        """Neither the variable nor the file of `hf auth login`."""
        assert get_token() is None

    @pytest.mark.parametrize(
        "address",
        [("192.0.2.1", 80), ("2001:db8::1", 80), ("example.com", 80), (b"example.com", 1)],
    )
    def test_other_machines_are_out_of_reach(self, address: tuple[str, int]) -> None:
        """By number or by name, with or without a connection, and not even asked for."""
        family = socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as made:
            for reach in (made.connect, made.connect_ex, lambda to: made.sendto(b"", to)):
                with pytest.raises(NetworkBlockedError, match="not this machine"):
                    reach(address)
        with pytest.raises(NetworkBlockedError):
            socket.getaddrinfo(*address)
        assert not issubclass(NetworkBlockedError, OSError)

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "0.0.0.0"])
    def test_this_machine_is_reached(self, host: str) -> None:
        """By all of its names."""
        with socket.create_server(("0.0.0.0", 0)) as server:
            made = socket.create_connection((host, server.getsockname()[1]))
            assert made.getpeername()
            made.close()

    def test_other_kinds_of_sockets_are_free(self, tmp_path: Path) -> None:
        """A socket in a folder is on this machine."""
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as made:
            server.bind(str(tmp_path / "s"))
            server.listen()
            made.connect(str(tmp_path / "s"))


class TestOptIn:
    @pytest.mark.parametrize(
        ("ini", "source", "protected"),
        [
            ("[pytest]\n", "def test(): {}", False),
            (INI, "def test(): {}", True),
            ("[pytest]\n", "import pytest\n@pytest.mark.envhub_isolate\ndef test(): {}", True),
            ("[pytest]\n", "def test(envhub_isolated): {}", True),
            ("[pytest]\n", "def test(envhub_home): {}", True),
            ("[pytest]\n", "def test(hub): {}", True),
        ],
        ids=["nothing", "ini", "marker", "fixture", "home", "hub"],
    )
    def test_tests_that_ask_for_nothing_are_left_alone(
        self, pytester: pytest.Pytester, ini: str, source: str, protected: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        """The plugin is installed with envhub, and loaded in everybody's pytest."""
        monkeypatch.setenv("HF_TOKEN", "secret")
        check = f"import os; assert ('HF_TOKEN' not in os.environ) is {protected}"
        run(pytester, source.format(check), ini).assert_outcomes(passed=1)

    def test_hub_is_what_owner_name_means(self, hub: ServedHub) -> None:
        """For settings read during the test."""
        settings = Settings.from_environ()
        assert hub.url == settings.endpoint == settings.hf_endpoint

    def test_plugin_costs_nothing(self) -> None:
        """Everybody's pytest imports it: no more than pytest has already."""
        code = (
            "import pytest, sys, time; before = set(sys.modules); start = time.process_time()\n"
            "import envhub.testing.plugin\n"
            "print(time.process_time() - start, *set(sys.modules) - before)"
        )
        seconds, *loaded = proc.run([sys.executable, "-c", code]).text.split()
        ours = {"envhub", "envhub.testing", "envhub.testing.plugin"}
        assert ours <= set(loaded) <= ours | {"uuid", "_uuid", "platform", "importlib.readers"}
        assert float(seconds) < 0.2
