"""How fast a hub of one's own is: beside `dd`, beside nginx where it is installed, and by itself.

`python -m benchmarks hub [--megabytes 200] [--repos 10000] [--seconds 5]`. Ratios were taken one
after the other on one machine, in this order: ours, theirs, ours, theirs.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from urllib.parse import urlsplit

from benchmarks.hubload import clones, plain_git
from envhub.server.config import Config
from envhub.server.hub import Hub
from envhub.server.index import Entry, Query, put

CLIENTS = 32
ROUNDS = 3
SYLLABLES = [*("ka", "ro", "mi", "ta", "en", "vo", "lu", "pe"), *("sha", "dri", "no", "ba", "xe")]
NOUNS = [*("cartpole", "pusht", "reach", "walker", "ant"), *("maze", "drone", "soccer", "chess")]

XET = """
import os, sys, time, huggingface_hub as hf
url, token, path, name = sys.argv[1:]
api = hf.HfApi(endpoint=url, token=token)
begin = time.perf_counter()
api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id="ada/large")
print(time.perf_counter() - begin)
"""


class Bench:
    """A hub in a process of its own, and a plain connection to it."""

    def __init__(self, url: str, token: str, folder: Path) -> None:
        self.url = url
        self.token = token
        self.folder = folder
        self.host = urlsplit(url).netloc

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request on a new connection."""
        connection = http.client.HTTPConnection(self.host)
        headers = {"Authorization": f"Bearer {self.token}"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status < 300, (answer.status, data[:200])
        return data

    def send_lfs(self, path: Path) -> float:
        """Upload a file the LFS way; seconds of the upload itself."""
        with path.open("rb") as file:
            oid = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        batch = {"operation": "upload", "objects": [{"oid": oid, "size": size}]}
        text = self.ask("POST", "/ada/large.git/info/lfs/objects/batch", json.dumps(batch).encode())
        address = json.loads(text)["objects"][0]["actions"]["upload"]["href"]
        connection = http.client.HTTPConnection(self.host, blocksize=1 << 20)
        with path.open("rb") as file:
            begin = time.perf_counter()
            connection.request("PUT", urlsplit(address).path, file, {"Content-Length": str(size)})
            answer = connection.getresponse()
            answer.read()
            seconds = time.perf_counter() - begin
        assert answer.status == 200, answer.status
        connection.close()
        value = {"path": path.name, "algo": "sha256", "oid": oid, "size": size}
        lines = [{"key": "header", "value": {"summary": "x"}}, {"key": "lfsFile", "value": value}]
        commit = "\n".join(map(json.dumps, lines)).encode()
        self.ask("POST", "/api/models/ada/large/commit/main", commit)
        return seconds


def fetch(host: str, path: str) -> float:
    """Download a file, and throw it away; seconds."""
    connection = http.client.HTTPConnection(host)
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    buffer = bytearray(1 << 20)
    while answer.readinto(buffer):
        pass
    seconds = time.perf_counter() - begin
    connection.close()
    return seconds


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """`envhub serve`; yields its address and process."""
    argv = [sys.executable, "-m", "envhub", "serve", "--quiet", "--port", "0", "--data", folder]
    process = subprocess.Popen(
        [*map(str, argv), "--log-level", "error"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Nginx over a folder, with its defaults for files; yields its address."""
    port = 18765
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; user root; worker_processes 1; pid {folder}/pid;\n"
        f"error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder};"
        " } }\n"
    )
    process = subprocess.Popen(["nginx", "-c", str(config)])
    try:
        for _ in range(100):
            try:
                http.client.HTTPConnection("127.0.0.1", port).connect()
                break
            except OSError:
                time.sleep(0.05)  # it says nowhere that it is ready
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def transfers(bench: Bench, megabytes: int) -> None:
    """Uploads beside `dd`, downloads beside nginx."""
    size = megabytes * 1_000_000
    file = bench.folder / "large.bin"
    ours, theirs = [], []
    for _ in range(ROUNDS):
        file.write_bytes(os.urandom(size))
        ours.append(bench.send_lfs(file))
        begin = time.perf_counter()
        words = ["dd", f"if={file}", f"of={bench.folder / 'copy'}", "bs=1M", "conv=fsync"]
        subprocess.run(words, check=True, capture_output=True)
        theirs.append(time.perf_counter() - begin)
    rate = size / 1e6 / statistics.median(ours)
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"upload {megabytes} MB, LFS       {rate:8.0f} MB/s   {ratio:.2f} x dd with fsync")
    file.write_bytes(os.urandom(size))
    first, other, same = (_xet(bench, file, name) for name in ("new.bin", "other.bin", "new.bin"))
    print(f"upload, Xet                {size / 1e6 / first:8.0f} MB/s")
    print(
        f"the same, another name     {size / 1e6 / other:8.0f} MB/s   {first / other:.1f} x faster"
    )
    print(f"the same, unchanged        {size / 1e6 / same:8.0f} MB/s   {first / same:.1f} x faster")
    downloads(bench, size)


def downloads(bench: Bench, size: int) -> None:
    """A large file from us and from nginx, by turns."""
    path = "/ada/large/resolve/main/large.bin"
    mine, theirs = [], []
    with nginx(bench.folder) if shutil.which("nginx") else nullcontext("") as host:
        for _ in range(2 * ROUNDS):
            mine.append(fetch(bench.host, path))
            if host:
                theirs.append(fetch(host, "/large.bin"))
    line = f"download                   {size / 1e6 / statistics.median(mine):8.0f} MB/s"
    if theirs:
        line += f"   {statistics.median(theirs) / statistics.median(mine):.2f} x nginx"
    print(line)


def _xet(bench: Bench, file: Path, name: str) -> float:
    environ = {**os.environ, "HF_HOME": str(bench.folder / "home")}
    words = [sys.executable, "-c", XET, bench.url, bench.token, str(file), name]
    done = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def requests(bench: Bench, seconds: float, pid: int) -> None:
    """Metadata requests by many clients at once."""
    for path in ("/api/models/ada/large", "/api/models?search=large", "/api/whoami-v2"):
        words = [sys.executable, "-m", "benchmarks.hubload", bench.host, bench.token]
        before = _cpu(pid)
        done = subprocess.run(
            [*words, str(seconds), str(CLIENTS), path], check=True, capture_output=True, text=True
        )
        rate, middle, tail = map(float, done.stdout.split())
        each = (_cpu(pid) - before) / (rate * seconds) * 1e6
        print(
            f"{path:26} {rate:8.0f} requests/s   p50 {middle:.0f} ms   p99 {tail:.0f} ms"
            f"   {each:.0f} us of the processor each"
        )


def git_clones(bench: Bench) -> None:
    """A clone from us and from git's own server, by turns."""
    bench.ask("POST", "/api/repos/create", b'{"name": "tree"}')
    lines: list[dict[str, object]] = [{"key": "header", "value": {"summary": "x"}}]
    for number in range(400):
        content = base64.b64encode(os.urandom(50_000)).decode()
        value = {"path": f"d{number % 20}/f{number}", "content": content, "encoding": "base64"}
        lines.append({"key": "file", "value": value})
    bench.ask(
        "POST", "/api/models/ada/tree/commit/main", "\n".join(map(json.dumps, lines)).encode()
    )
    folders = (bench.folder / "hub" / "repos").glob("??/*.git")
    largest = max(
        folders, key=lambda path: sum(each.stat().st_size for each in path.rglob("*.pack"))
    )
    with plain_git(largest.parent) as address:
        addresses = {"ours": f"{bench.url}/ada/tree", "theirs": f"{address}/{largest.name}"}
        found = clones(addresses, 2 * ROUNDS)
    ratio = found["ours"] / found["theirs"]
    print(f"clone 20 MB                {found['ours']:8.2f} s      {ratio:.2f} x git http-backend")


def search(folder: Path, repos: int) -> None:
    """Search, in this process, over so many repos with cards of 100 words; and how the index grows.

    Times are the processor's: those of the clock where nothing else is at work.

    Words are as rare and as frequent as in a language, tags as on a hub of envs.
    """
    hub = Hub(folder, Config(durable=False))
    draw = random.Random(0)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(20_000)]
    owners = [hub.accounts.add(f"user{number}") for number in range(100)]
    for quarter in range(4):
        begin = time.process_time()
        with hub.database.write() as connection:
            for number in range(repos * quarter // 4, repos * (quarter + 1) // 4):
                _put(connection, owners, words, draw, number)
        rate = repos / 4 / (time.process_time() - begin)
        size = sum(path.stat().st_size for path in folder.glob("hub.sqlite3*")) / 1e6
        print(f"index {repos * (quarter + 1) // 4:8,} repos {rate:8.0f} repos/s {size:8.0f} MB")
    _ask(hub, words, repos)
    hub.close()


def _ask(hub: Hub, words: Sequence[str], repos: int) -> None:
    """Time of the processor, which is that of the clock where nothing else is at work."""
    queries = {
        "part of a name": Query("model", words="artpo"),
        "a common name": Query("model", words="env"),
        "one name": Query("model", words=f"env-{repos // 2 + 7}"),
        "three letters": Query("model", words=words[50][:3].ljust(3, "a")),
        "a common word": Query("model", words=words[0]),
        "rare words": Query("model", words=f"{words[9000]} {words[12000]}"),
        "a rare tag": Query("model", tags=("r77",)),
        "four facets": Query("model", tags=("action:discrete", "t7", "license:mit", "tasks:>5")),
        "what none has": Query("model", tags=("even", "odd")),
        "words and facets": Query("model", words="cartpole", tags=("action:discrete", "t7")),
        "author and words": Query("model", words="env", author="user5"),
        "all, by date": Query("model"),
        "by downloads": Query("model", order="downloads", tags=("t7",)),
    }
    every: list[float] = []
    for name, query in queries.items():
        times = sorted(_worked(partial(hub.index.search, None, query)) for _ in range(ROUNDS * 10))
        print(
            f"search {name:18} median {times[15] * 1000:7.1f} ms   most {times[-1] * 1000:7.1f} ms"
        )
        every += times
    times = sorted(_worked(partial(hub.index.facets, None, Query("model"))) for _ in range(10))
    print(f"count facets              median {times[5] * 1000:7.1f} ms")
    every.sort()
    print(f"search, all of these       p50 {every[len(every) // 2] * 1000:7.1f} ms")
    print(f"search, all of these       p95 {every[len(every) * 95 // 100] * 1000:7.1f} ms")


def _put(
    connection: Connection,
    owners: Sequence[int],
    words: Sequence[str],
    draw: random.Random,
    number: int,
) -> None:
    owner, noun = number % len(owners), NOUNS[number % len(NOUNS)]
    name = f"{noun}-{words[number % 1000]}-env-{number}"
    made = connection.execute(
        "INSERT INTO repos (key, kind, owner, name, visibility, cas, created, modified, serial,"
        " n_tasks, downloads) VALUES (?, 'model', ?, ?, 'public', ?, ?, ?, ?, ?, ?)",
        (
            *(f"k{number}", owners[owner], name, f"c{number}", number, number, number + 1),
            *(number % 40, draw.randrange(10**6)),
        ),
    ).lastrowid
    tags = ["envhub", f"t{number % 50}", f"r{number % 997}", ("even", "odd")[number % 2]]
    tags += [f"action:{draw.choice(['discrete', 'continuous'])}", "python:3.11", "python:3.12"]
    tags += [f"license:{draw.choice(['mit', 'apache-2.0'])}", "observation:vector"]
    # As in a language: the first word is twice as frequent as the second, and so on.
    body = " ".join(words[int(len(words) ** draw.random()) - 1] for _ in range(100))
    put(connection, made or 0, Entry(f"user{owner}/{name}", tags, body), moved=False)


def _worked(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main(argv: Sequence[str]) -> None:
    """Run all of it, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hub")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--repos", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = Hub(folder / "hub", Config())
        hub.accounts.add("ada")
        token = hub.accounts.new_token("ada", "bench")
        hub.close()
        (folder / "hub" / "hub.toml").write_text("requests_per_minute = 0\n")
        begin = time.perf_counter()
        with serving(folder / "hub") as (url, pid):
            print(f"start, to the address      {time.perf_counter() - begin:8.2f} s")
            bench = Bench(url, token, folder)
            bench.ask("POST", "/api/repos/create", b'{"name": "large"}')
            print(f"memory, idle               {_memory(pid, 'VmRSS'):8.0f} MB")
            transfers(bench, options.megabytes)
            git_clones(bench)
            requests(bench, options.seconds, pid)
            print(f"memory, at most            {_memory(pid, 'VmHWM'):8.0f} MB")
        search(folder / "many", options.repos)


def _cpu(pid: int) -> float:
    """Seconds that a process has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    main(sys.argv[1:])
