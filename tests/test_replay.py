"""`mm4st replay`: the same calls again, and the same question at past moments."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from eval.replay.again import replay
from eval.replay.moments import MOST, interval, last_days, moments, span
from eval.replay.rolled import roll
from eval.replay.shown import totals
from eval.replay.truth import Truth
from mm4st_agent.agent.ledger import Evidence, EvidenceValue
from mm4st_agent.agent.manifest import Said, read_manifest
from mm4st_agent.cli import main
from mm4st_agent.data.card import Channel, DataCard
from mm4st_agent.data.panel import Panel
from mm4st_agent.errors import UsageError
from mm4st_agent.imaging.replayed import draw_replayed
from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings

QUESTION = "How much traffic will station S039 carry over the next hour?"
UNIT = "vehicles/5 min"


def _run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def _json(*args: str) -> Any:
    done = _run(*args, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def _quiet(done: int, total: int | None) -> None:
    pass


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of a real answer about the demo city."""
    runtime = Runtime(load_settings(home=tmp_path_factory.mktemp("asked") / "home"))
    answer = asyncio.run(runtime.ask(QUESTION))
    assert answer.manifest is not None
    return Path(answer.manifest).read_bytes()


@pytest.fixture
def answered(written: bytes, tmp_path: Path) -> Path:
    """A file of its own for each test."""
    path = tmp_path / "asked" / "answered.json"
    path.parent.mkdir()
    path.write_bytes(written)
    return path


@pytest.fixture
def small() -> Panel:
    """Four hours of one station in 5-minute steps: 0, 1, 2, ...; step 30 is missing."""
    times = pd.date_range("2025-09-01", periods=48, freq="5min", tz="Europe/Lisbon")
    values = np.arange(48, dtype=np.float32)[:, None]
    values[30] = np.nan
    channel = Channel(name="flow", unit=UNIT, title="traffic flow", aggregation="sum", total_unit="vehicles")
    card = DataCard(
        name="small", title="small", source="a test", licence="CC0-1.0", domain="traffic", place_word="station",
        time_zone="Europe/Lisbon", time_label="start", channels=(channel,), synthetic=True,
    )  # fmt: skip
    stamps = times.tz_convert("UTC").tz_localize(None).as_unit("ns")
    data = xr.Dataset(
        {"flow": (("time", "node"), values, {"units": UNIT})}, coords={"time": stamps, "node": np.array(["A"], object)}
    )
    return Panel(card=card, data=data)


def _forecast(panel: Panel, first: int, rows: list[tuple[float, float, float, float]]) -> Evidence:
    """The entry of a forecast of station A from step `first` on; rows are low, median, high, baseline."""
    values: dict[str, EvidenceValue] = {"node": EvidenceValue(value="A", unit="id")}
    ends = {"covers_from": panel.times[first], "covers_until": panel.times[first + len(rows)]}
    for name, moment in ends.items():
        values[name] = EvidenceValue(value=moment.isoformat(timespec="minutes"), unit="time")
    for n, row in enumerate(rows):
        time = panel.times[first + n].isoformat(timespec="minutes")
        values[f"steps[{n}].time"] = EvidenceValue(value=time, unit="time")
        for name, value in zip(("low", "median", "high", "baseline"), row, strict=True):
            values[f"steps[{n}].{name}"] = EvidenceValue(value=value, unit=UNIT)
    for n, name in enumerate(("low", "median", "high", "baseline")):
        values[f"total.{name}"] = EvidenceValue(value=sum(row[n] for row in rows), unit="vehicles")
    words: dict[str, str | bool] = {"channel": "flow", "baseline_name": "the last reading", "in_sample": False}
    return Evidence(id="E2", tool="forecast", args={}, as_of=None, values=values, words=words, seconds=0.1)


# -- the truth ----------------------------------------------------------------------------------


def test_a_forecast_is_scored_against_what_was_measured(small: Panel) -> None:
    entry = _forecast(small, 10, [(9, 12, 13, 10), (12, 13, 14, 14)])  # 10 and 11 came

    (score,) = Truth(small).score([entry])

    assert (score.steps, score.truths, score.inside) == (2, 2, 1)
    assert (score.mae, score.baseline_mae) == (2.0, 1.5)
    assert score.total.model_dump() == {
        "unit": "vehicles", "low": 21, "median": 25, "high": 27, "baseline": 24, "truth": 21,
    }  # fmt: skip
    assert (score.channel, score.unit, score.baseline_name) == ("flow", UNIT, "the last reading")


def test_what_nobody_measured_is_no_truth(small: Panel) -> None:
    beside, beyond = _forecast(small, 29, [(0, 30, 60, 30)] * 2), _forecast(small, 45, [(0, 45, 60, 45)] * 2)
    late = beyond.model_copy(
        update={"values": {k: _later(v) if v.unit == "time" else v for k, v in beyond.values.items()}}
    )

    first, second = Truth(small).score([beside, late])

    assert (first.truths, first.mae, first.total.truth) == (1, 1.0, None)
    assert (second.truths, second.mae, second.baseline_mae, second.total.truth) == (0, None, None, None)


def _later(value: EvidenceValue) -> EvidenceValue:
    moved = pd.Timestamp(value.value) + pd.Timedelta("1D")
    return value.model_copy(update={"value": moved.isoformat(timespec="minutes")})


def test_calls_that_failed_or_forecast_nothing_are_not_scored(small: Panel) -> None:
    entry = _forecast(small, 10, [(9, 12, 13, 10)])

    assert Truth(small).score([entry.model_copy(update={"error": "No."}), entry.model_copy(update={"tool": "x"})]) == []


# -- the moments --------------------------------------------------------------------------------


def test_moments_reach_back_from_the_last(small: Panel) -> None:
    first, last = span(small, "2025-09-01T01:00..2025-09-01T04:00")

    assert [f"{m:%H:%M}" for m in moments(first, last, interval("1h"))] == ["02:00", "03:00", "04:00"]
    assert [f"{m:%H:%M}" for m in moments(first, last, interval("100min"))] == ["02:20", "04:00"]
    assert [f"{m:%H:%M}" for m in moments(last, last, interval("1d"))] == ["04:00"]


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ("2025-09-01T01:00", "is not a span of time"),
        ("..2025-09-01T01:00", "is not a span of time"),
        ("yesterday..today", "yesterday"),
        ("2025-09-01T03:00..2025-09-01T01:00", "ends before it begins"),
        ("2025-09-01T03:00..2031-09-01T01:00", "outside the data"),
    ],
)
def test_spans_that_cannot_be_rolled_over_are_refused(between: str, message: str, small: Panel) -> None:
    with pytest.raises(UsageError, match=message):
        span(small, between)


def test_days_before_the_data_and_too_many_moments_are_refused(small: Panel) -> None:
    with pytest.raises(UsageError, match="--days 3 reaches back to 2025-08-29T04:00"):
        last_days(small, "2025-09-01T04:00", 3)
    with pytest.raises(UsageError, match=r"makes 1,440,000 answers"):
        moments(small.start, small.start + pd.Timedelta(days=1000), interval("1min"))
    assert len(moments(small.start, small.start + MOST * interval("1h"), interval("1h"))) == MOST


@pytest.mark.parametrize("every", ["", "6", "0h", "-1h", "6 weeks", "1.5h", "999999h", "٦h"])
def test_lengths_of_time_that_are_none_are_refused(every: str) -> None:
    with pytest.raises(UsageError, match="is no length of time"):
        interval(every)


# -- the same calls again -----------------------------------------------------------------------


def test_an_answer_repeats_itself(answered: Path) -> None:
    found = _json("replay", str(answered))

    assert [entry["status"] for entry in found["entries"]] == ["same"] * len(found["entries"])
    assert {"find_places", "forecast"} <= {entry["tool"] for entry in found["entries"]}
    assert (found["changed"], found["claims_at_stake"], found["differs"]) == (0, 0, [])
    assert found["claims"] > 5
    assert found["as_of"] == "2025-10-22T07:40+01:00"


def test_what_changed_is_named(answered: Path) -> None:
    raw = json.loads(answered.read_text())
    forecast = next(entry for entry in raw["answer"]["evidence"] if entry["tool"] == "forecast")
    was = forecast["values"]["total.median"]["value"]
    forecast["values"]["total.median"]["value"] = was + 1
    forecast["values"]["gone"] = {"value": 3, "unit": "km"}
    forecast["words"]["baseline_name"] = "a guess"
    forecast["images"][0]["image_id"] = "0" * 64
    forecast["seconds"] += 1000
    places = next(entry for entry in raw["answer"]["evidence"] if entry["tool"] == "find_places")
    places["seconds"] += 1000
    raw["answer"]["seconds"] += 1000
    raw["data_sha256"] = "another"
    raw["prompts"]["system"] = "another"
    raw["versions"]["numpy"] = "1.0"
    raw["forecasters"][0]["weights_sha256"] = "another"
    changed = answered.with_name("changed.json")
    changed.write_text(json.dumps(raw))

    found = _json("replay", str(changed))
    said = _run("replay", str(changed)).stdout

    entries = {entry["tool"]: entry for entry in found["entries"]}
    assert entries["find_places"]["status"] == "same"
    told = {(c["what"], c["path"]): (c["then"], c["now"]) for c in entries["forecast"]["changes"]}
    assert told == {
        ("value", "total.median"): (f"{was + 1} vehicles", f"{was} vehicles"),
        ("value", "gone"): ("3 km", None),
        ("word", "baseline_name"): ("a guess", "the usual for this time of the week"),
        ("picture", "images[0]"): ("0" * 64, told["picture", "images[0]"][1]),
    }
    assert 0 < found["claims_at_stake"] <= found["claims"]
    assert [(d["what"], d["name"]) for d in found["differs"]] == [
        ("data", "demo"), ("forecaster", "demo-flow"), ("prompt", "system"), ("version", "numpy"),
    ]  # fmt: skip
    assert f"value total.median: {was + 1} vehicles -> {was} vehicles" in said
    assert re.search(r"1 of \d+ entries changed; \d+ of \d+ claims of the answer rest on them", said)


def test_a_call_that_fails_now_and_one_that_failed_then(answered: Path) -> None:
    raw = json.loads(answered.read_text())
    forecast = next(entry for entry in raw["answer"]["evidence"] if entry["tool"] == "forecast")
    unknown = {"id": "E8", "tool": "no_such_tool", "args": {}, "as_of": None, "seconds": 0.0, "error": "It was there."}
    raw["answer"]["evidence"] = [forecast | {"args": {"dataset": "demo", "node": "S999"}}, unknown]
    changed = answered.with_name("changed.json")
    changed.write_text(json.dumps(raw))

    found = replay(read_manifest(changed), "changed.json", Runtime(), _quiet)

    first, second = ({c.path: (c.then, c.now) for c in entry.changes} for entry in found.entries)
    assert first["error"][0] is None
    assert "S999" in first["error"][1]
    assert first["total.median"][1] is None
    assert second["error"][0] == "It was there."
    assert second["error"][1].startswith("There is no tool 'no_such_tool'.")


def test_a_data_set_that_is_gone_and_files_that_are_no_manifests(answered: Path, tmp_path: Path) -> None:
    gone, foreign = tmp_path / "gone.json", tmp_path / "foreign.json"
    gone.write_text(answered.read_text().replace('"dataset": "demo"', '"dataset": "atlantis"'))
    foreign.write_text('{"rows": []}')

    for args, code, kind, message in (
        ([str(gone)], 3, "data", "'atlantis', which is not here"),
        ([str(gone), "--days", "1"], 3, "data", "'atlantis', which is not here"),
        ([str(foreign)], 3, "data", "is no run manifest"),
        ([str(tmp_path / "none.json")], 2, "usage", "does not exist"),
        ([str(answered), "--every", "6h"], 2, "usage", "--every needs a span of past moments"),
        ([str(answered), "--out", "x.png"], 2, "usage", "--out needs a span of past moments"),
        ([str(answered), "--days", "1", "--as-of", "a..b"], 2, "usage", "contradict each other"),
        ([str(answered), "--as-of", "2025-10-20"], 2, "usage", "is not a span of time"),
        ([str(answered), "--days", "1", "--out", "/no/such/x.png"], 2, "usage", "/no/such"),
    ):
        done = _run("replay", *args, "--json")
        error = json.loads(done.stdout)["error"]
        assert (done.exit_code, error["kind"]) == (code, kind), args
        assert message in error["message"]


# -- past moments -------------------------------------------------------------------------------


def test_a_backtest_of_the_answer(answered: Path, tmp_path: Path) -> None:
    out = tmp_path / "week.png"

    found = _json("replay", str(answered), "--as-of", "2025-10-19T00:00..2025-10-20T17:30", "--every", "12h",
                  "--out", str(out))  # fmt: skip

    assert [moment["as_of"] for moment in found["moments"]] == [
        "2025-10-19T05:30+01:00", "2025-10-19T17:30+01:00", "2025-10-20T05:30+01:00", "2025-10-20T17:30+01:00",
    ]  # fmt: skip
    assert (found["answered"], found["refused"], found["failed"]) == (4, 0, 0)
    (score,) = found["scores"]
    assert (score["channel"], score["unit"], score["forecasts"], score["in_sample"]) == ("flow", UNIT, 4, 0)
    errors, inside = _by_hand([Path(moment["manifest"]) for moment in found["moments"]])
    assert score["truths"] == len(errors) > 40
    assert score["mae"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert score["coverage80"] == pytest.approx(100 * np.mean(inside), rel=1e-4)
    assert score["baseline_mae"] is not None
    assert found["verified_share"] is not None
    assert out.read_bytes().startswith(b"\x89PNG")
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _by_hand(manifests: list[Path]) -> tuple[list[float], list[bool]]:
    """Absolute errors, and whether the truth lay in the interval, read from the manifests and the whole data."""
    panel = Runtime().registry.open("demo")
    truth = pd.Series(panel.observed("flow")[:, panel.position("S039")], index=panel.times)
    errors, inside = [], []
    for path in manifests:
        answer = read_manifest(path).answer
        (entry,) = [entry for entry in answer.evidence if entry.tool == "forecast"]
        assert entry.as_of == answer.as_of
        said = {name: value.value for name, value in entry.values.items()}
        assert pd.Timestamp(said["steps[0].time"]) >= pd.Timestamp(answer.as_of)
        for n in range(12):
            came = truth[pd.Timestamp(said[f"steps[{n}].time"]).tz_convert(panel.zone)]
            if np.isfinite(came):
                errors.append(abs(float(came) - float(said[f"steps[{n}].median"])))
                inside.append(bool(float(said[f"steps[{n}].low"]) <= came <= float(said[f"steps[{n}].high"])))
    return errors, inside


def test_moments_without_an_answer_are_counted(answered: Path, tmp_path: Path) -> None:
    start = f"{Runtime().registry.open('demo').start:%Y-%m-%dT%H:%M}"

    done = _run("replay", str(answered), "--as-of", f"{start}..{start}", "--out", str(tmp_path / "none.png"))

    assert done.exit_code == 0, done.output
    assert "1 moments: 0 answered, 0 refused, 1 failed" in done.stdout
    assert "Failed 1 times: At 2025-09-01T00:05" in done.stdout
    assert (tmp_path / "none.png").read_bytes().startswith(b"\x89PNG")


def test_a_follow_up_is_asked_behind_the_earlier_questions() -> None:
    runtime = Runtime()
    asyncio.run(runtime.ask("How fast is traffic at S005 now?", thread="t"))
    second = asyncio.run(runtime.ask("And at S039?", thread="t"))
    manifest = read_manifest(Path(second.manifest or ""))
    panel = runtime.registry.open("demo")
    when = pd.DatetimeIndex([panel.moment("2025-10-20T17:30")])

    found = roll(manifest, "m.json", runtime, panel, when, "embedded", _quiet)

    again = read_manifest(Path(found.moments[0].manifest or ""))
    assert again.said == manifest.said
    assert again.answer.as_of == "2025-10-20T17:30+01:00"
    assert [e.args["node"] for e in again.calls if "node" in e.args][-1] == "S039"
    assert totals(found)[0] == "No answer held a forecast to compare with the truth."


def test_ctrl_c_leaves_no_half_file(answered: Path) -> None:
    command = [sys.executable, "-c", "from mm4st_agent.cli import main; main()", "replay", str(answered), "--days", "7",
               "--every", "1h"]  # fmt: skip
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stderr is not None
    for line in running.stderr:
        if "Asking at past moments" in line:
            break
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=120)

    assert running.returncode == 130, stderr
    assert stdout == ""
    assert list(answered.parent.iterdir()) == [answered]
    assert "Traceback" not in stderr


def test_a_reply_is_said_only_where_something_was_asked(answered: Path) -> None:
    runtime = Runtime()
    replied = Said(text="the second one", reply=True)
    manifest = read_manifest(answered).model_copy(update={"said": [Said(text="What data do you have?"), replied]})
    panel = runtime.registry.open("demo")

    found = roll(manifest, "m.json", runtime, panel, pd.DatetimeIndex([panel.now]), "embedded", _quiet)

    again = read_manifest(Path(found.moments[0].manifest or ""))
    assert [said.text for said in again.said] == ["What data do you have?"]


# -- the picture --------------------------------------------------------------------------------


def test_the_picture_says_what_it_shows() -> None:
    when = pd.date_range("2025-10-20", periods=3, freq="6h", tz="Europe/Lisbon")
    missing = np.array([np.nan, np.nan, np.nan])
    drawn: dict[str, Any] = {
        "moments": when, "low": np.array([8.0, 18, np.nan]), "median": np.array([10.0, 20, np.nan]),
        "high": np.array([12.0, 22, np.nan]), "baseline": np.array([9.0, 25, np.nan]),
        "truth": np.array([11.0, 23, 30]), "inside": np.array([100.0, 50, np.nan]), "verified": missing,
        "title": "Station A: traffic flow", "note": "", "unit": "vehicles", "time_zone": "Europe/Lisbon",
        "synthetic": True,
    }  # fmt: skip

    picture = draw_replayed(**drawn)
    empty = draw_replayed(**drawn | dict.fromkeys(("low", "median", "high", "baseline", "inside"), missing))

    assert picture.png != empty.png
    assert picture.alt == (
        "Synthetic data. 3 answers at past moments, Station A: traffic flow: 2 forecasts met a truth, 2 vehicles off "
        "on average (baseline 2); truths inside the 80 % interval: 75 % on average."
    )
    assert empty.alt == "Synthetic data. 3 answers at past moments, Station A: traffic flow: 0 forecasts met a truth."
    for wrong in ({"inside": np.array([101.0, 0, 0])}, {"truth": np.zeros(2)}):
        with pytest.raises(UsageError):
            draw_replayed(**drawn | wrong)
