"""The benchmarks measure what they say, and a short run of each goes through."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import plot, report, vector
from benchmarks.cells import CELLS, Cell, Goal, verdicts
from benchmarks.engines import consume
from benchmarks.measure import Arena, Contender, Rates
from benchmarks.peers import ENGINES
from benchmarks.process import EngineError, Process, processor_time
from benchmarks.tables import Verdict, goal_table, share, steps, table, times
from benchmarks.workloads import WORKLOADS, Batch

ROOT = Path(__file__).parents[1]
ASYNC, OURS, RAW = (Contender(engine, "null", 64) for engine in ("async", "envhub", "raw"))
RATES = Rates({ASYNC: [1.0, 2.0, 4.0], OURS: [100.0, 100.0, 100.0], RAW: []})


def run(*words: str) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process("envhub", sys.executable)
    yield process
    process.kill()


def findings() -> report.Findings:
    """A run of one cell."""
    found = report.Findings("a machine", "3 turns", {"async": "1.4", "envpool": "not run: absent"})
    found.add(RATES)
    found.add(Rates(failed={Contender("sb3", "null", 64): "OSError: no"}))
    found.growth = {1: 1e5, 64: 2e6}
    found.verdicts = verdicts(Cell("null", 64, (Goal("async", 80), Goal("raw", 0.6))), RATES)
    return found


def test_ratio_is_the_median_of_the_ratios() -> None:
    """A ratio is taken within each repetition, then the median over them."""
    assert RATES.ratio(OURS, ASYNC) == 50.0
    assert RATES.ratio(OURS, RAW) is None
    assert RATES.median(ASYNC) == 2.0
    assert RATES.median(RAW) is None


@pytest.mark.parametrize(
    ("measured", "at_most", "reached"),
    [(2.0, False, True), (0.5, False, False), (0.5, True, True), (2.0, True, False)],
)
def test_verdict(measured: float, at_most: bool, reached: bool) -> None:
    """A promise of speed is a floor, a promise of cost a ceiling."""
    assert Verdict("this", "that", 1.0, measured, at_most=at_most).reached is reached


def test_verdict_of_nothing() -> None:
    """What was not measured is neither kept nor broken."""
    verdict = Verdict("this", "that", 1.0, None)
    assert verdict.reached is None
    assert "not measured" in goal_table([verdict])


def test_numbers() -> None:
    """Three digits are enough; what was not measured is a dash."""
    rates = [steps(rate) for rate in (2_334_000.0, 118_400.0, 1864.3, None)]
    assert rates == ["2.33M", "118k", "1,864", "–"]
    assert [times(ratio) for ratio in (1.354, 119.2, None)] == ["1.35", "119", "–"]
    assert [share(ratio) for ratio in (0.9, None)] == ["0.90", "–"]


def test_table_is_markdown() -> None:
    """The first column is flush left, the others flush right."""
    expected = "| a   |  b |\n| --- | -: |\n| one | 22 |"
    assert table(("a", "b"), [("one", "22")]) == expected


def test_every_goal_is_about_engines_of_its_cell() -> None:
    """No promise can go unmeasured by mistake."""
    for cell in CELLS:
        fitting = [who.engine for who in cell.fitting(list(ENGINES))]
        assert {goal.engine for goal in cell.goals} | {goal.over for goal in cell.goals} <= {
            *fitting
        }


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name not in {"tail", "waiting"}])
def test_workloads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every workload steps with the actions that the engines play."""
    monkeypatch.chdir(tmp_path)  # MuJoCo leaves a log where it is
    workload = WORKLOADS[name]
    if workload.missing():
        pytest.skip(workload.missing())
    env = workload.make()
    count = env.num_envs if workload.batched else 1
    env.reset(seed=0)
    batch = workload.actions(count)[0]
    observation, *_ = env.step(batch if workload.batched else batch[0])
    consume(observation)
    env.close()


def test_batch_writes_where_it_is_told() -> None:
    """The native batch returns the very array that it was given."""
    batch = Batch()
    out, _ = batch.reset()
    assert batch.step(batch.action_space.sample(), out=out)[0] is out


def state(pid: int) -> str:
    """What a process does: `T` says that it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_engines_are_stopped_between_turns(process: Process) -> None:
    """A process that is not asked uses no processor time."""
    process.build("null", 2)
    family = process.family()
    assert len(family) == 3
    while any(state(pid) != "T" for pid in family):
        time.sleep(0.01)  # one that waits for a processor has not seen the signal yet
    before = processor_time(family)
    time.sleep(0.1)
    assert processor_time(family) == before
    assert process.measure(0.05) > 0
    assert processor_time(family) > before
    process.close()
    assert process.family() == family[:1]


def test_engine_that_fails_says_why(process: Process) -> None:
    """An engine's error is an answer; the process is there for the next question."""
    with pytest.raises(EngineError, match="KeyError"):
        process.build("nothing", 1)
    process.build("null", 1)


def test_engine_that_cannot_start_says_why() -> None:
    """The last words of a process that ended are its error."""
    process = Process("nobody", sys.executable)
    with pytest.raises(EngineError, match="nobody"):
        process.build("null", 1)
    process.kill()


def test_race_goes_on_without_those_that_fail() -> None:
    """Who cannot run is named, and the others are measured."""
    contenders = [Contender("async", "null", 1), Contender("async", "batch", 1)]
    with Arena({"async": sys.executable}) as arena:
        rates = arena.race(contenders, seconds=0.02, repetitions=2)
    assert [len(found) for found in rates.of.values()] == [2]
    assert list(rates.failed) == contenders[1:]


def test_findings_are_kept(tmp_path: Path) -> None:
    """Written and read again, findings are the same; so is their picture."""
    report.write_json(findings(), tmp_path / "a.json")
    again = report.read_json(tmp_path / "a.json")
    assert report.page(again) == report.page(findings())
    for found, name in ((findings(), "a.svg"), (again, "b.svg")):
        plot.draw(found, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_page_says_everything() -> None:
    """The page has the rates, the promises, who was absent and who failed."""
    page = report.page(findings())
    for words in ("| null/64 ", "50", "not measured", "not run: absent", "OSError: no"):
        assert words in page


def test_page_is_replaced_between_its_markers(tmp_path: Path) -> None:
    """Writing twice leaves one copy, and everything around it as it was."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_page(findings(), page)
    once = page.read_text()
    report.write_page(findings(), page)
    assert page.read_text() == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    (tmp_path / "bare.md").write_text("nothing")
    with pytest.raises(ValueError, match="no part between"):
        report.write_page(findings(), tmp_path / "bare.md")


def test_unknown_names_are_refused() -> None:
    """A cell that does not exist is named, with those that do."""
    with pytest.raises(SystemExit, match="no such name: nul/1; there are: null/1"):
        vector.chosen("nul/1", ["null/1"])
    assert vector.chosen("none", ["a"]) == []
    assert vector.chosen("all", ["a"]) == ["a"]


@pytest.mark.timeout(120)
def test_short_run_of_vectors(tmp_path: Path) -> None:
    """Two cells and the idle check, from the command line to page, picture and JSON."""
    page = tmp_path / "page.md"
    page.write_text(f"{report.BEGIN}{report.END}")
    files = ["--json", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.svg")]
    said = run(
        *("benchmarks", "vector", "--cells", "null/1,cartpole/8", "--scale", "idle"),
        *("--engines", "raw,sync,async,envhub", "--seconds", "0.02", "--repetitions", "2"),
        *(*files, "--write", str(page), "--peers", sys.executable),
    )
    assert re.search(r"^\| cartpole/8 .*\d", said, re.MULTILINE)
    assert "| idle, share of a core " in page.read_text()
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert len(report.read_json(tmp_path / "a.json").records) == 8


@pytest.mark.timeout(120)
def test_short_run_of_loading() -> None:
    """Loading over a hub on this machine; a warm load of a pinned ref asks it nothing."""
    said = run("benchmarks", "load", "--repetitions", "1")
    assert re.search(r"warm load, requests .* 0\.00 .* yes", said)
    assert "cold load of 300 files, times as fast" in said


@pytest.mark.timeout(120)
def test_short_run_of_startup() -> None:
    """Start-up is compared with bare Python."""
    assert "envhub --help" in run("benchmarks", "startup", "--repetitions", "1")


@pytest.mark.timeout(120)
def test_short_run_of_inspecting() -> None:
    """A repo of a few files is inspected by the command."""
    told = run("benchmarks", "inspect", "--repetitions", "1", "--files", "3")
    assert "envhub inspect of 3 files" in told


def test_no_such_benchmark() -> None:
    """The names are told."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"vector" in done.stderr


@pytest.mark.timeout(120)
def test_training_learns_the_same_with_either_engine() -> None:
    """The example reaches the same return after the same steps: only the seconds differ."""
    said = []
    for engine in ("gymnasium", "envhub"):
        words = ["--engine", engine, "--envs", "8", "--steps", "64", "--max-steps", "8192"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "train_ppo.py"), *words],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(re.findall(r"mean return ([\d.]+) after .*, ([\d,]+) steps", done.stdout))
    assert said[0] == said[1]
    assert float(said[0][0][0]) > 20
