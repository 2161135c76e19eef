"""Archives and links that a stranger might send."""

from __future__ import annotations

import gc
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from mm4st_agent.data.importing import safety
from mm4st_agent.data.importing.safety import Unpacked, check_archive, check_inside, refuse_pickle
from mm4st_agent.errors import DataError


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


MAKERS = [(make_zip, "a.zip"), (make_tar, "a.tar.gz")]


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_an_honest_archive_is_unpacked_and_goes_away(tmp_path: Path, make: object, name: str) -> None:
    path = make(tmp_path / name, {"a/b.csv": b"time,x\n"})  # type: ignore[operator]

    unpacked = Unpacked(path)
    folder = unpacked.folder

    assert (folder / "a" / "b.csv").read_bytes() == b"time,x\n"
    del unpacked
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(("make", "name"), MAKERS)
@pytest.mark.parametrize("bad", ["../evil.csv", "/etc/evil.csv", "a/../../evil.csv", "..\\evil.csv", "C:/evil.csv"])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, make: object, name: str, bad: str) -> None:
    path = make(tmp_path / name, {bad: b"x"})  # type: ignore[operator]

    with pytest.raises(DataError, match="leads outside"):
        Unpacked(path)
    assert not list(tmp_path.parent.glob("evil.csv"))


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, make: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / name, {"a.csv": b"0" * 4_000_000, "b.csv": b"0" * 4_000_000})  # type: ignore[operator]
    check_archive(path)

    monkeypatch.setattr(safety, "RATIO_FREE_BYTES", 1_000_000)
    with pytest.raises(DataError, match="zip bomb"):
        check_archive(path)
    monkeypatch.setattr(safety, "MAX_UNPACKED_BYTES", 5_000_000)
    with pytest.raises(DataError, match="would unpack to"):
        check_archive(path)
    monkeypatch.setattr(safety, "MAX_MEMBERS", 1)
    with pytest.raises(DataError, match=r"more than 1 files|would unpack to"):
        check_archive(path)


def test_links_and_devices_in_archives_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        entry = zipfile.ZipInfo("link.csv")
        entry.external_attr = 0o120777 << 16
        packed.writestr(entry, "/etc/passwd")

    for name in ("a.tar", "a.zip"):
        with pytest.raises(DataError, match="link"):
            Unpacked(tmp_path / name)


def test_damaged_archives_are_named_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    whole = make_zip(tmp_path / "a.zip", {"a.csv": bytes(range(256)) * 50}).read_bytes()
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    for name, data in [("cut.zip", whole[:200]), ("flipped.zip", bytes(flipped)), ("text.tar.gz", b"hello")]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            Unpacked(tmp_path / name)
    gc.collect()
    assert not list(temporary.iterdir())


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.csv").write_text("x")
    (folder / "real.csv").write_text("x")
    (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "in.csv").symlink_to(folder / "real.csv")

    assert check_inside(folder, folder / "in.csv") == (folder / "real.csv").resolve()
    with pytest.raises(DataError, match="leads out of"):
        check_inside(folder, folder / "out.csv")


def test_pickles_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="never opened: reading a pickle runs"):
        refuse_pickle(tmp_path / "adj.pkl")
