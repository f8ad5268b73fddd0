"""The download of CHASE_DB1 against a server on this computer: all or nothing, whatever happens."""

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from retina_course.data import download
from retina_course.data.datasets import DatasetError
from retina_course.data.download import check_chase_db1, download_chase_db1, unpack_chase_db1

DATA = os.environ.get("RETINA_COURSE_DATA")


def pack(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for name, target in (links or {}).items():
            link = zipfile.ZipInfo(name)
            link.external_attr = 0o120777 << 16
            archive.writestr(link, target)
    return stream.getvalue()


class Server(ThreadingHTTPServer):
    """Answers each address with the bytes that a test put there."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, bytes] = {}
        self.cut: int | None = None  # close the connection after so many bytes
        self.hang = False  # after the cut, say nothing more
        self.sent, self.release = threading.Event(), threading.Event()
        self.requests = 0

    def url(self, name: str, content: bytes) -> str:
        self.answers[f"/{name}"] = content
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        content = self.server.answers.get(self.path)
        self.send_response(404 if content is None else 200)
        content = content or b"not found"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.cut])
        self.wfile.flush()
        self.server.sent.set()
        if self.server.hang:
            self.server.release.wait(60)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    local = Server()
    thread = threading.Thread(target=local.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield local
    local.release.set()
    local.shutdown()
    thread.join()
    local.server_close()


@pytest.fixture
def files(monkeypatch) -> dict[str, bytes]:
    """84 small files in place of the real ones, with their digests."""
    contents = {name: f"content of {name}".encode() * 50 for name in download._digests()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(download, "_digests", lambda: digests)
    return contents


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_stored_digests_are_those_of_28_photographs_and_two_observers():
    stored = download._digests()
    assert len(stored) == len(set(stored.values())) == 84
    assert {len(digest) for digest in stored.values()} == {64}
    assert {name.partition("_")[2][3:] for name in stored} == {".jpg", "_1stHO.png", "_2ndHO.png"}


@pytest.mark.parametrize("inside", ["", "CHASEDB1/"])
def test_a_good_archive_is_installed_without_its_other_files(inside, server, files, tmp_path):
    members = {inside + name: content for name, content in files.items()}
    url = server.url("good.zip", pack(members | {inside + "Thumbs.db": b"x", "readme.txt": b"y"}))
    root = tmp_path / "new" / "CHASE_DB1"
    assert download_chase_db1(root, url=url) == root
    assert names(root) == sorted(files) and names(tmp_path / "new") == ["CHASE_DB1"]
    assert names(tmp_path) == ["new"]
    assert {name: (root / name).read_bytes() for name in files} == files


def test_a_complete_folder_is_not_downloaded_again(server, files, tmp_path):
    url = server.url("good.zip", pack(files))
    download_chase_db1(tmp_path / "data", url=url)
    download_chase_db1(tmp_path / "data", url=url)
    assert server.requests == 1


def test_an_empty_folder_is_filled_and_a_damaged_one_is_not_touched(server, files, tmp_path):
    url = server.url("good.zip", pack(files))
    root = tmp_path / "data"
    root.mkdir()
    download_chase_db1(root, url=url)
    (root / "Image_01L.jpg").write_bytes(b"altered")
    (root / "Image_14R_2ndHO.png").unlink()
    with pytest.raises(DatasetError, match="Image_01L.jpg differs.*, Image_14R_2ndHO.png is miss"):
        download_chase_db1(root, url=url)
    assert (root / "Image_01L.jpg").read_bytes() == b"altered" and server.requests == 1


def broken_archives(files: dict[str, bytes]) -> dict[str, tuple[bytes, str]]:
    good = pack(files)
    last = sorted(files)[-1]
    return {
        "cut off": (good[: len(good) // 2], "not a readable zip archive"),
        "damaged inside": (good.replace(b"of Image_03L", b"OF Image_03L"), "Bad CRC"),
        "a web page": (b"<html>Are you human?</html>", "not a readable zip archive"),
        "one file altered": (pack(files | {last: b"x"}), f"{last} differs"),
        "one file missing": (pack({n: c for n, c in files.items() if n != last}), f"{last} is mi"),
        "all missing": (pack({"readme.txt": b""}), "and 74 more"),
        "climbs": (pack(files | {"../Image_01L.jpg": b"x"}), "lead out"),
        "climbs on Windows": (pack(files | {"..\\..\\evil": b"x"}), "lead out"),
        "absolute": (pack(files | {"/etc/evil": b"x"}), "lead out"),
        "a drive": (pack(files | {"C:/evil": b"x"}), "lead out"),
        "a link": (pack(files, {"link": "/etc"}), "lead out"),
    }


@pytest.mark.parametrize("case", broken_archives({"a": b""}))
def test_a_bad_archive_leaves_nothing_behind(case, server, files, tmp_path):
    content, message = broken_archives(files)[case]
    beside = tmp_path / "a" / "b"
    beside.mkdir(parents=True)
    with pytest.raises(DatasetError, match="(?s)not downloaded.*" + message):
        download_chase_db1(beside / "CHASE_DB1", url=server.url("bad.zip", content))
    (tmp_path / "saved.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        unpack_chase_db1(tmp_path / "saved.zip", beside / "CHASE_DB1")
    assert names(beside) == [] and names(tmp_path / "a") == ["b"]
    assert names(tmp_path) == ["a", "saved.zip"]


def test_a_broken_connection_leaves_nothing_behind(server, files, tmp_path):
    server.cut = 1000
    with pytest.raises(DatasetError, match="Save the archive with a web browser"):
        download_chase_db1(tmp_path / "CHASE_DB1", url=server.url("good.zip", pack(files)))
    assert names(tmp_path) == []


def test_the_second_address_is_tried_and_each_failure_named(server, files, tmp_path, monkeypatch):
    bad = server.url("bad.zip", pack(files | {"Image_01L.jpg": b"x"}))
    good = server.url("good.zip", pack(files))
    nowhere = good.replace("good", "nowhere")
    monkeypatch.setattr(download, "URLS", (bad, nowhere))
    with pytest.raises(DatasetError, match="(?s)bad.zip: .*differs.*nowhere.zip: 404"):
        download_chase_db1(tmp_path / "CHASE_DB1")
    monkeypatch.setattr(download, "URLS", (bad, good))
    assert check_chase_db1(download_chase_db1(tmp_path / "CHASE_DB1")) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["replace", "_extract"])
def test_an_exception_on_the_way_leaves_nothing_behind(
    error, step, server, files, tmp_path, monkeypatch
):
    def fail(*args):
        raise error

    monkeypatch.setattr(download.os if step == "replace" else download, step, fail)
    with pytest.raises((DatasetError, KeyboardInterrupt)):
        download_chase_db1(tmp_path / "CHASE_DB1", url=server.url("good.zip", pack(files)))
    assert names(tmp_path) == []


def test_a_full_disk_is_named_and_no_other_address_tried(server, files, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    good = server.url("good.zip", pack(files))
    monkeypatch.setattr(download, "URLS", (good, "http://localhost/never"))
    monkeypatch.setattr(download.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left on device: .*CHASE_DB1"):
        download_chase_db1(tmp_path / "CHASE_DB1")
    assert names(tmp_path) == []


def test_after_a_kill_the_target_does_not_exist_and_the_next_call_clears_up(
    server, files, tmp_path
):
    server.cut, server.hang = 1000, True
    url = server.url("good.zip", pack(files))
    program = (
        "import sys; from retina_course.data.download import download_chase_db1; "
        "download_chase_db1(sys.argv[1], url=sys.argv[2])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "CHASE_DB1"), url],
        stderr=subprocess.DEVNULL,
    )
    assert server.sent.wait(60)
    process.kill()
    assert process.wait() in (-getattr(signal, "SIGKILL", 9), 1)
    assert not (tmp_path / "CHASE_DB1").exists()
    server.cut, server.hang = None, False
    server.release.set()
    download_chase_db1(tmp_path / "CHASE_DB1", url=url)
    assert names(tmp_path) == ["CHASE_DB1"]


@pytest.mark.skipif(
    not DATA or not Path(DATA, "CHASE_DB1").is_dir(),
    reason="RETINA_COURSE_DATA does not hold CHASE_DB1",
)
def test_the_real_files_have_the_stored_digests(server, tmp_path):
    real = Path(DATA, "CHASE_DB1")
    assert check_chase_db1(real) == []
    url = server.url("real.zip", pack({name: (real / name).read_bytes() for name in names(real)}))
    root = download_chase_db1(tmp_path / "CHASE_DB1", url=url)
    assert names(root) == sorted(download._digests())
