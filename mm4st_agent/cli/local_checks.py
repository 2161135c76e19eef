"""What `mm4st doctor` checks on this machine: Python, packages, disk, data, models, pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mm4st_agent.agent.backends.findings import Finding, examine
from mm4st_agent.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from mm4st_agent.runtime import Runtime

_LIMIT_S = 120.0
_LEAST_FREE_GB, _GOOD_FREE_GB = 0.2, 2.0
_MAKE = "`make install` installs the versions that were tested together."


def local_findings(runtime: Runtime) -> Iterator[Finding]:
    """Check this machine, one finding at a time."""
    yield examine("python", check_python, limit_s=_LIMIT_S)
    yield examine("packages", check_packages, limit_s=_LIMIT_S)
    yield examine("home", partial(check_home, runtime), limit_s=_LIMIT_S)
    yield examine("disk", partial(check_disk, runtime.settings.home), limit_s=_LIMIT_S)
    yield examine("embedded model", check_embedding, limit_s=_LIMIT_S)
    if runtime.settings.chroma_url is not None:
        yield examine("chroma", partial(check_chroma, runtime), limit_s=_LIMIT_S)
    if runtime.settings.postgres_url is not None:
        yield examine("postgres", partial(check_postgres, runtime), limit_s=_LIMIT_S)
    yield examine("knowledge", partial(check_knowledge, runtime), limit_s=_LIMIT_S)
    absent = []
    for name in runtime.registry.names():
        if runtime.registry.available(name):
            yield examine(f"data {name}", partial(check_data, runtime, name), limit_s=_LIMIT_S)
        else:
            absent.append(name)
    if absent:
        yield Finding("data elsewhere", "ok", f"Not here: {', '.join(absent)}.", "`mm4st data get NAME` gets one.")
    for folder in _checkpoints(runtime):
        yield examine(f"checkpoint {folder.name}", partial(check_checkpoint, runtime, folder), limit_s=_LIMIT_S)
    yield examine("pictures drawn", partial(check_drawing, runtime), limit_s=_LIMIT_S)


def check_python() -> Finding:
    """Whether this Python is recent enough."""
    from packaging.specifiers import SpecifierSet

    version, wanted = ".".join(map(str, sys.version_info[:3])), _needed()[0]
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding("python", "failed", f"Python {version} is not {wanted}.", "Use one that is.", 2)
    return Finding("python", "ok", f"Python {version}.")


def check_packages() -> Finding:
    """Whether all packages that this one needs are installed, in versions that it takes."""
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in _needed()[1]]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for wanted in needed:
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            wrong.append(f"{wanted.name} {installed} is not {wanted.specifier}")
    if wrong:
        return Finding("packages", "failed", f"{'; '.join(wrong)}.", _MAKE, 2)
    return Finding("packages", "ok", f"All {len(needed)} needed packages are here, in versions that fit.")


def _needed() -> tuple[str, list[str]]:
    """The Python and the packages that this one needs: by pyproject.toml in a checkout, else as it was installed."""
    import tomllib
    from importlib.metadata import metadata, requires
    from pathlib import Path

    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        return project["requires-python"], project["dependencies"]
    return metadata("mm4st")["Requires-Python"], requires("mm4st") or []


def check_home(runtime: Runtime) -> Finding:
    """Whether the home folder can be written."""
    import tempfile

    from mm4st_agent.settings import unusable

    home = runtime.settings.ready_home()
    try:
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"mm4st")
            file.flush()
    except OSError as err:
        raise unusable(home, err) from err
    return Finding("home", "ok", f"{home} can be written.")


def check_disk(home: Path) -> Finding:
    """Whether the home folder's disk has room for pictures, threads and checkpoints."""
    import shutil

    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    said = f"{free_gb:,.1f} GB are free for {home}."
    if free_gb >= _GOOD_FREE_GB:
        return Finding("disk", "ok", said)
    hint = "Make room, or set MM4ST_HOME to a folder on a larger disk."
    few = free_gb < _LEAST_FREE_GB
    return Finding("disk", "failed" if few else "warning", said, hint, 2 if few else 0)


def check_embedding() -> Finding:
    """Whether the embedded model's weights are here and tell like from unlike."""
    import numpy as np

    from mm4st_agent.knowledge.embedding import DIMENSION, minilm

    try:
        rows = minilm().encode(["heavy traffic on the ring road", "a jam on the motorway", "a recipe for plum cake"])
    except (ImportError, OSError, ValueError) as err:
        raise DataError(f"The weights of all-MiniLM-L6-v2 cannot be loaded: {err}.", _MAKE) from err
    if rows.shape != (3, DIMENSION) or not np.isfinite(rows).all() or rows[0] @ rows[1] <= rows[0] @ rows[2]:
        raise DataError("The weights of all-MiniLM-L6-v2 are damaged: a jam is no more like traffic than cake.", _MAKE)
    return Finding("embedded model", "ok", "all-MiniLM-L6-v2 is here and tells traffic from cake.")


def check_chroma(runtime: Runtime) -> Finding:
    """Whether the Chroma server of the settings answers."""
    from mm4st_agent.knowledge.chroma import server_version
    from mm4st_agent.knowledge.place import ChromaServer

    url = runtime.settings.chroma_url
    assert url is not None, "checked only where it is set"
    server = ChromaServer(url)
    return Finding("chroma", "ok", f"The {server} answers, version {server_version(server)}.")


def check_postgres(runtime: Runtime) -> Finding:
    """Whether the database of the settings answers, and has or gets the tables that threads are kept in."""
    import asyncio

    from mm4st_agent.agent.threads import open_threads
    from mm4st_agent.settings import without_login

    async def opened() -> None:
        async with open_threads(runtime.threads):  # makes the tables where they are missing
            pass

    asyncio.run(opened())
    url = runtime.settings.postgres_url
    assert url is not None, "checked only where it is set"
    return Finding("postgres", "ok", f"The database at {without_login(url)} keeps threads.")


def check_knowledge(runtime: Runtime) -> Finding:
    """Whether the text index answers."""
    hits = runtime.knowledge.search("Why do queues grow?", panel=None, limit=1)
    if not hits:
        raise DataError(
            "The text index finds nothing, though notes come with the package.",
            "Delete what is kept of it, in the home's folder 'knowledge' or on the Chroma server; it is made again.",
        )
    return Finding("knowledge", "ok", f"The text index answers, with {hits[0].doc_id!r}.")


def check_data(runtime: Runtime, name: str) -> Finding:
    """Whether a data set opens, its files are those of its card, and its readings can be read."""
    panel = runtime.registry.open(name)  # a known set is checked against the sha256 of its files here
    if name == "demo":
        from mm4st_agent.demo_city.build import digests

        changed = [part for part, sha256 in digests(panel).items() if panel.card.files.get(part) != sha256]
        if changed:
            raise DataError(f"Parts of 'demo' are not as its card says: {', '.join(changed)}.", _MAKE)
    for channel in panel.card.channels:
        for end in (0, -1):
            panel.data[channel.name].isel(time=end).load()
    said = f"{len(panel.node_ids):,} nodes, {len(panel.times):,} steps, sha256 {panel.card.sha256[:12]}."
    return Finding(f"data {name}", "ok", said)


def check_checkpoint(runtime: Runtime, folder: Path) -> Finding:
    """Whether a checkpoint loads, and fits its data set where that is here."""
    from mm4st_agent.forecaster.prediction import TrainedForecaster

    trained = TrainedForecaster(folder)
    card = trained.checkpoint.card
    said = f"{card.model} loads"
    if card.dataset in runtime.registry.names() and runtime.registry.available(card.dataset):
        panel = runtime.registry.open(card.dataset)
        from mm4st_agent.forecaster.measured import measuring

        channel = panel.channel(card.channel)
        trained.check(measuring(panel, channel), channel)
        return Finding(f"checkpoint {folder.name}", "ok", f"{said} and fits {card.dataset}.")
    return Finding(f"checkpoint {folder.name}", "ok", f"{said}; its data set {card.dataset} is not here.")


def check_drawing(runtime: Runtime) -> Finding:
    """Whether a picture can be drawn, with its font, and kept."""
    import io

    from matplotlib.font_manager import findfont
    from PIL import Image

    from mm4st_agent.imaging.figure import FAMILY

    try:
        findfont(FAMILY, fallback_to_default=False)
    except ValueError as err:
        raise DataError(f"The font {FAMILY} is missing.", _MAKE) from err
    panel = runtime.registry.open("demo")
    reply = runtime.tool("render_series", {"dataset": "demo", "node": panel.node_ids[0], "hours": 6})
    image_id = reply.model_dump()["figure"]["image_id"]
    with Image.open(io.BytesIO(runtime.images.get(image_id))) as picture:
        width, height = picture.size
        colours = picture.convert("RGB").getcolors(1 << 24) or []
    if len(colours) < 2:
        raise DataError("A picture came out blank.", _MAKE)
    return Finding("pictures drawn", "ok", f"{width} x {height} pixels, in {FAMILY}.")


def _checkpoints(runtime: Runtime) -> list[Path]:
    """The folders of checkpoints; one of the home wins over a shipped one of the same name."""
    from mm4st_agent.forecaster.checkpoint import CARD_FILE
    from mm4st_agent.forecaster.prediction import shipped_checkpoints

    folders = [shipped_checkpoints(), runtime.settings.home / "checkpoints"]
    found = {card.parent.name: card.parent for folder in folders for card in folder.glob(f"*/{CARD_FILE}")}
    return [found[name] for name in sorted(found)]
