"""Downloads against a server on this machine: checksums, resuming, no network, full disks, unsafe archives."""

import hashlib
import json
import re
import socket
import threading
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from vsa_lite.data import downloads
from vsa_lite.data.downloads import SOURCES, DownloadError, Source, cache_folder, fetch, fetch_flickr8k, unpack
from vsa_lite.data.karpathy import load_flickr8k

CONTENT = bytes(range(256)) * 8000  # 2 MB


class Handler(BaseHTTPRequestHandler):
    """Serves the server's `files`; notes what was asked; can break off, and can refuse to resume."""

    def do_GET(self):
        server, name = self.server, self.path.strip("/")
        server.asked.append((name, self.headers.get("Range")))
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(match[1]) if match and server.resumes else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + server.breaks_after] if server.breaks_after else content[start:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.resumes, server.breaks_after = {"a.bin": CONTENT}, [], True, None
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def source(server, name="a.bin", content=CONTENT, **changes):
    fields = {"licence": "for research", "checksum": sha256(content), "size": len(content)}
    return {name: Source(f"{server.url}/{name}", **(fields | changes))}


def test_a_file_is_downloaded_once(server, tmp_path):
    path = fetch("a.bin", tmp_path / "new" / "folder", source(server))
    assert path == tmp_path / "new" / "folder" / "a.bin"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]
    assert fetch("a.bin", path.parent, source(server)) == path
    assert server.asked == [("a.bin", None)]


def test_the_cache_folder_can_be_chosen(server, tmp_path, monkeypatch):
    monkeypatch.delenv("VSA_LITE_CACHE", raising=False)
    assert cache_folder().name == "vsa-lite"
    monkeypatch.setenv("VSA_LITE_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    assert fetch("a.bin", sources=source(server)) == tmp_path / "cache" / "a.bin"


def test_progress_and_licence_are_shown_once(server, tmp_path, capsys):
    downloads._announce.cache_clear()
    fetch("a.bin", tmp_path / "1", source(server))
    first = capsys.readouterr().err
    assert first.count("for research") == 1
    assert "100%" in first
    fetch("a.bin", tmp_path / "1", source(server))
    fetch("a.bin", tmp_path / "2", source(server), progress=False)
    assert "for research" not in (later := capsys.readouterr().err)
    assert "%|" not in later


@pytest.mark.parametrize("resumes", [True, False])
def test_a_broken_download_goes_on_or_starts_cleanly(server, tmp_path, resumes):
    server.resumes, server.breaks_after = resumes, 1_500_000
    with pytest.raises(DownloadError, match="bytes are kept, and the next try goes on from there") as caught:
        fetch("a.bin", tmp_path, source(server))
    for hint in (f"{server.url}/a.bin", str(tmp_path / "a.bin")):
        assert hint in str(caught.value)
    kept = (tmp_path / "a.bin.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert not (tmp_path / "a.bin").exists()
    server.breaks_after = None
    assert fetch("a.bin", tmp_path, source(server)).read_bytes() == CONTENT
    assert server.asked == [("a.bin", None), ("a.bin", f"bytes={kept}-")]
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_download_that_was_killed_at_its_end_is_finished(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    assert fetch("a.bin", tmp_path, source(server)).read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert fetch("a.bin", tmp_path, source(server)).read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out_and_the_next_try_starts_afresh(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadError, match="its checksum is wrong"):
        fetch("a.bin", tmp_path, source(server))
    assert list(tmp_path.iterdir()) == []
    assert fetch("a.bin", tmp_path, source(server)).read_bytes() == CONTENT


def test_a_wrong_checksum_keeps_nothing_and_says_so(server, tmp_path):
    server.files["a.bin"] = CONTENT[::-1]
    with pytest.raises(DownloadError, match=r"checksum is wrong, not sha256:.*it was deleted") as caught:
        fetch("a.bin", tmp_path, source(server))
    assert str(tmp_path / "a.bin") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_size_is_refused_before_it_is_downloaded(server, tmp_path):
    server.files["a.bin"] = b"<html>please log in</html>"
    with pytest.raises(DownloadError, match=r"offers 26 bytes in place of 2,048,000"):
        fetch("a.bin", tmp_path, source(server))
    assert list(tmp_path.iterdir()) == []


def test_an_approximate_size_does_not_refuse(server, tmp_path):
    assert fetch("a.bin", tmp_path, source(server, size=3_000_000, exact=False)).read_bytes() == CONTENT


def test_without_a_known_checksum(server, tmp_path):
    sources = source(server, checksum=None, size=None)
    assert fetch("a.bin", tmp_path, sources).read_bytes() == CONTENT
    assert fetch("a.bin", tmp_path, sources) == tmp_path / "a.bin"


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_put_there_by_hand_is_checked(tmp_path, algorithm):
    checksum = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    sources = {"a.bin": Source("http://127.0.0.1:9/a.bin", "for research", checksum)}
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert fetch("a.bin", tmp_path, sources) == tmp_path / "a.bin"
    (tmp_path / "a.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match=r"a\.bin has a wrong checksum, not .*; delete it to download it again"):
        fetch("a.bin", tmp_path, sources)
    (tmp_path / "a.bin").unlink()
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(DownloadError, match=r"a\.bin is in the way"):
        fetch("a.bin", tmp_path, sources)


def test_no_server_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.bin"
    with pytest.raises(DownloadError, match="is there a network") as caught:
        fetch("a.bin", tmp_path, {"a.bin": Source(url, "for research", sha256(CONTENT))})
    assert url in str(caught.value)
    assert f"put it at {tmp_path / 'a.bin'}" in str(caught.value)


def test_a_missing_page_says_so(server, tmp_path):
    with pytest.raises(DownloadError, match=r"404.*put it at .*none\.bin"):
        fetch("none.bin", tmp_path, source(server, "none.bin"))


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"name must be one of caption_datasets\.zip, .*, got 'flickr9k'"):
        fetch("flickr9k", tmp_path)


def test_a_full_disk_is_noticed_before_anything_is_downloaded(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: usage(0, 0, 1_000_000))
    with pytest.raises(DownloadError, match=r"a\.bin needs 0\.0 GB in .*, where 0\.0 GB are free; make room"):
        fetch("a.bin", tmp_path, source(server))
    assert server.asked == []
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1_500_000])
    assert fetch("a.bin", tmp_path, source(server)).read_bytes() == CONTENT, "only the rest needs space"


def test_a_folder_that_cannot_be_used_is_named(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cannot be used for downloads.*VSA_LITE_CACHE"):
        fetch("a.bin", tmp_path / "file" / "cache", source(server))


def test_the_known_sources_are_well_formed():
    for name, known in SOURCES.items():
        assert known.url.endswith(f"/{name}")
        if known.checksum:
            algorithm, digest = known.checksum.split(":")
            assert re.fullmatch("[0-9a-f]+", digest)
            assert len(digest) == 2 * hashlib.new(algorithm).digest_size
        else:
            assert not known.size
        assert known.checksum or known.url.startswith("https"), "an unguarded line needs a checksum"


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def test_unpacking_goes_on_where_it_stopped(tmp_path):
    path = archive(tmp_path / "a.zip", {"f/1.txt": "one", "f/2.txt": "two", "f/": "", "junk.txt": "no"})
    (tmp_path / "out" / "f").mkdir(parents=True)
    (tmp_path / "out" / "f" / "1.txt").write_text("ONE")  # same size: there already
    (tmp_path / "out" / "f" / "2.txt").write_text("t")  # cut off
    paths = unpack(path, tmp_path / "out", lambda name: name.startswith("f/"), progress=False)
    assert [p.read_text() for p in paths] == ["ONE", "two"]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*")) == ["1.txt", "2.txt", "f"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "link"])
def test_nothing_is_written_outside_the_folder(tmp_path, name):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("good.txt", "good")
        info = zipfile.ZipInfo(name)
        if name == "link":
            info.external_attr = 0o120777 << 16
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadError, match=rf"is not safe: it would write outside .*{re.escape(name)}"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_a_broken_archive_is_named(tmp_path):
    path = archive(tmp_path / "a.zip", {"1.txt": "one" * 1000})
    content = path.read_bytes()
    path.write_bytes(content[:40] + b"\xff\xff\xff" + content[43:])
    with pytest.raises(DownloadError, match=r"a\.zip cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out" / "1.txt").exists()
    for broken in (content[:50], b"", b"text"):
        path.write_bytes(broken)
        with pytest.raises(DownloadError, match=r"a\.zip cannot be unpacked"):
            unpack(path, tmp_path / "out")


@pytest.fixture
def flickr8k(server, tmp_path):
    """A Flickr8k of two pictures on the server, and its sources."""
    entries = [
        {"filename": f"{n}.jpg", "imgid": n, "split": "train", "sentences": [{"raw": "A dog", "tokens": ["a", "dog"]}]}
        for n in (1, 2)
    ]
    Image.new("RGB", (4, 3), "red").save(tmp_path / "1.jpg")
    picture = (tmp_path / "1.jpg").read_bytes()
    sentences = archive(
        tmp_path / "caption_datasets.zip",
        {"dataset_flickr8k.json": json.dumps({"images": entries, "dataset": "flickr8k"}), "dataset_coco.json": "{}"},
    ).read_bytes()
    photographs = archive(
        tmp_path / "Flickr8k_Dataset.zip",
        {
            "Flicker8k_Dataset/1.jpg": picture,
            "Flicker8k_Dataset/2.jpg": picture,
            "__MACOSX/Flicker8k_Dataset/._1.jpg": b"junk",
        },
    ).read_bytes()
    server.files |= {"caption_datasets.zip": sentences, "Flickr8k_Dataset.zip": photographs}
    return {name: source(server, name, server.files[name])[name] for name in list(server.files)[1:]}


def test_flickr8k_is_made_ready_and_made_once(server, flickr8k, tmp_path):
    root = fetch_flickr8k(tmp_path / "cache", flickr8k)
    dataset = load_flickr8k(root, check_images=True)
    assert [r.image_id for r in dataset] == [1, 2]
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*")) == [
        "Flicker8k_Dataset",
        str(Path("Flicker8k_Dataset") / "1.jpg"),
        str(Path("Flicker8k_Dataset") / "2.jpg"),
        "dataset_flickr8k.json",
    ]
    for name in flickr8k:
        (tmp_path / "cache" / name).unlink()
    assert fetch_flickr8k(tmp_path / "cache", flickr8k) == root, "the archives are no longer needed"
    assert len(server.asked) == 2


def test_flickr8k_goes_on_after_a_stop(server, flickr8k, tmp_path):
    server.breaks_after = len(server.files["Flickr8k_Dataset.zip"]) - 5
    sizes = [len(server.files[name]) for name in flickr8k]
    assert sizes[0] < server.breaks_after, "only the photographs break off"
    with pytest.raises(DownloadError, match="Flickr8k_Dataset"):
        fetch_flickr8k(tmp_path / "cache", flickr8k)
    server.breaks_after = None
    root = fetch_flickr8k(tmp_path / "cache", flickr8k)
    (root / "Flicker8k_Dataset" / "2.jpg").unlink()
    assert len(load_flickr8k(fetch_flickr8k(tmp_path / "cache", flickr8k))) == 2
    assert (root / "Flicker8k_Dataset" / "2.jpg").exists()
    assert [name for name, _ in server.asked].count("caption_datasets.zip") == 1


def test_flickr8k_without_all_its_pictures_is_refused(server, flickr8k, tmp_path):
    with_one = archive(tmp_path / "one.zip", {"Flicker8k_Dataset/1.jpg": b"x"}).read_bytes()
    server.files["Flickr8k_Dataset.zip"] = with_one
    flickr8k |= source(server, "Flickr8k_Dataset.zip", with_one)
    with pytest.raises(DownloadError, match="not complete: without 1 of the pictures that it names; delete the folder"):
        fetch_flickr8k(tmp_path / "cache", flickr8k)
