"""Downloads into a folder of the user, never into the project: with checksums, progress, and resuming.

The photographs belong to their authors; nothing is downloaded before somebody asks for it by name.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pooch
from tqdm import tqdm

FLICKR = (
    "Flickr photographs: they belong to their authors and may be used for non-commercial research and teaching only."
)
COCO = "COCO: annotations under CC BY 4.0; the photographs are under Flickr's terms of use, each with its own licence."
SENTENCES = "Sentences and splits of Flickr8k, Flickr30k and COCO, published for research by Karpathy and Fei-Fei."

STANFORD = "https://cs.stanford.edu/people/karpathy/deepimagesent"
BROWNLEE = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
COCO_SITE = "http://images.cocodataset.org"  # plain http, as COCO's own page has it; the checksums guard the files


class DownloadError(OSError):
    """A file that could not be had; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A file on the network.

    Attributes:
        url: where it is.
        licence: printed before it is downloaded.
        checksum: "sha256:..." or "md5:..."; None where none is known.
        size: in bytes; None where it is not known.
        exact: False if the size is only approximate: good enough to look for free space.
    """

    url: str
    licence: str
    checksum: str | None = None
    size: int | None = None
    exact: bool = True


SOURCES: Mapping[str, Source] = {
    "caption_datasets.zip": Source(
        f"{STANFORD}/caption_datasets.zip",
        SENTENCES,
        "sha256:4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
        36_745_453,
    ),
    "flickr8k.zip": Source(f"{STANFORD}/flickr8k.zip", SENTENCES),
    "flickr30k.zip": Source(f"{STANFORD}/flickr30k.zip", SENTENCES),
    "coco.zip": Source(f"{STANFORD}/coco.zip", SENTENCES),
    "Flickr8k_Dataset.zip": Source(
        f"{BROWNLEE}/Flickr8k_Dataset.zip", FLICKR, "md5:f18a1e2920de5bd84dae7cf08ec78978", 1_100_000_000, exact=False
    ),
    "Flickr8k_text.zip": Source(
        f"{BROWNLEE}/Flickr8k_text.zip", FLICKR, "md5:bf6c1abcb8e4a833b7f922104de18627", 2_200_000, exact=False
    ),
    "train2014.zip": Source(
        f"{COCO_SITE}/zips/train2014.zip",
        COCO,
        "sha256:ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        13_510_573_713,
    ),
    "val2014.zip": Source(
        f"{COCO_SITE}/zips/val2014.zip",
        COCO,
        "sha256:fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        6_645_013_297,
    ),
    "annotations_trainval2014.zip": Source(
        f"{COCO_SITE}/annotations/annotations_trainval2014.zip",
        COCO,
        "sha256:031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
        252_872_794,
    ),
}


def cache_folder() -> Path:
    """Where downloads go: `VSA_LITE_CACHE` if it is set, else the user's cache folder of the operating system."""
    return Path(os.environ.get("VSA_LITE_CACHE") or pooch.os_cache("vsa-lite")).expanduser()


def fetch(
    name: str, folder: str | Path | None = None, sources: Mapping[str, Source] = SOURCES, progress: bool = True
) -> Path:
    """The path of a public file, downloaded if it is not there yet.

    A download that stops half-way leaves `NAME.part`, and the next call goes on from there (from the beginning, if the
    server cannot). A file gets its name only after its checksum was found right. A file that was put there by hand is
    checked and used.

    Args:
        name: one of `SOURCES`.
        folder: where to; by default `cache_folder()`.
        sources: the known files, by name.
        progress: show a progress bar.

    Raises:
        ValueError: for an unknown name.
        DownloadError: without a network, without space on the disk, or for a file with a wrong checksum.
    """
    if name not in sources:
        raise ValueError(f"name must be one of {', '.join(sources)}, got {name!r}")
    source = sources[name]
    path = Path(folder or cache_folder()) / name
    if path.exists():
        _check_existing(path, source)
        return path
    part = path.with_name(f"{name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(path.parent, (source.size or 0) - (part.stat().st_size if part.exists() else 0), name)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"{path.parent} cannot be used for downloads: {error}; set VSA_LITE_CACHE") from error
    _announce(source.licence)
    _download(source, path, part, progress)
    return path


def unpack(
    archive: str | Path, folder: str | Path, wanted: Callable[[str], bool] = lambda name: True, progress: bool = True
) -> list[Path]:
    """Unpack a zip archive, leaving what is already there, so that an unpacking that was stopped goes on.

    Args:
        archive: the zip file.
        folder: where to; nothing is ever written outside it.
        wanted: which of the archive's names to unpack.
        progress: show a progress bar.

    Returns:
        The paths of the wanted files.

    Raises:
        DownloadError: if the archive is broken or unsafe, or the disk is full; files already unpacked stay.
    """
    archive, folder = Path(archive), Path(folder).resolve()
    paths = []
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir() and wanted(info.filename)]
            targets = [_safe_target(info, folder, archive) for info in members]
            folder.mkdir(parents=True, exist_ok=True)
            _check_space(folder, sum(info.file_size for info in members if not _there(info, folder)), archive.name)
            for info, target in zip(
                tqdm(members, f"Unpacking {archive.name}", disable=not progress), targets, strict=True
            ):
                if not _there(info, folder):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    half = target.with_name(f"{target.name}.part")
                    with opened.open(info) as packed, half.open("wb") as file:
                        shutil.copyfileobj(packed, file)
                    half.replace(target)
                paths.append(target)
    except DownloadError:
        raise
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise DownloadError(f"{archive} cannot be unpacked into {folder}: {error}") from error
    return paths


def fetch_flickr8k(
    folder: str | Path | None = None, sources: Mapping[str, Source] = SOURCES, progress: bool = True
) -> Path:
    """Flickr8k's photographs beside Karpathy's sentences and splits, in one folder for `karpathy.load_flickr8k`.

    Takes 1.1 GB of download and twice that on the disk; the two archives may be deleted afterwards. Stopped at any
    point, it goes on from there when it is called again.

    Raises:
        DownloadError: as `fetch` and `unpack`, or if the archives do not hold all the pictures of the splits.
    """
    folder = Path(folder or cache_folder())
    root = folder / "flickr8k"
    if _missing_pictures(root) == 0:
        return root
    unpack(fetch("caption_datasets.zip", folder, sources, progress), root, "dataset_flickr8k.json".__eq__, progress)
    photographs = fetch("Flickr8k_Dataset.zip", folder, sources, progress)
    unpack(photographs, root, lambda name: name.startswith("Flicker8k_Dataset/") and name.endswith(".jpg"), progress)
    missing = _missing_pictures(root)
    if missing != 0:
        what = "dataset_flickr8k.json" if missing is None else f"{missing:,} of the pictures that it names"
        raise DownloadError(
            f"{root} is not complete: without {what}; delete the folder and the archives, and try again"
        )
    return root


def _missing_pictures(root: Path) -> int | None:
    """How many pictures of Flickr8k's splits are not in its folder; None without a readable list of them."""
    try:
        content = json.loads((root / "dataset_flickr8k.json").read_text(encoding="utf-8"))
        names = {entry["filename"] for entry in content["images"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    images = root / "Flicker8k_Dataset"
    return len(names - {path.name for path in images.iterdir()} if images.is_dir() else names)


@cache
def _announce(licence: str) -> None:
    print(licence, file=sys.stderr)


def _check_existing(path: Path, source: Source) -> None:
    if not path.is_file():
        raise DownloadError(f"{path} is in the way: it must be a file; move it away and try again")
    if source.checksum and not _matches(path, source.checksum):
        raise DownloadError(f"{path} has a wrong checksum, not {source.checksum}; delete it to download it again")


def _matches(path: Path, checksum: str) -> bool:
    algorithm, digest = checksum.split(":")
    return pooch.file_hash(str(path), alg=algorithm) == digest


def _check_space(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{what} needs {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free; "
            "make room, or set VSA_LITE_CACHE to a folder on another disk"
        )


def _download(source: Source, path: Path, part: Path, progress: bool) -> None:
    """Download through pooch, which checks the checksum and only then moves the file to its name."""
    import requests  # here, because it is slow to import

    by_hand = f"Or get the file by other means, put it at {path}, and try again."

    def downloader(url: str, output_file: str, _) -> None:
        _resume(source, part, progress)
        os.replace(part, output_file)  # with a wrong checksum pooch deletes it, so the next try starts afresh

    try:
        pooch.retrieve(source.url, source.checksum, path.name, path.parent, downloader=downloader)
    except requests.HTTPError as error:
        raise DownloadError(f"{source.url} cannot be had: {error}. {by_hand}") from error
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        done = f"{part.stat().st_size:,} bytes are kept, and the next try goes on from there. " if part.exists() else ""
        reason = "the connection failed; is there a network?"
        raise DownloadError(f"{source.url} cannot be had: {reason} {done}{by_hand} ({error})") from error
    except requests.RequestException as error:
        raise DownloadError(f"{source.url} cannot be had: {error}. {by_hand}") from error
    except DownloadError as error:
        raise DownloadError(f"{error} {by_hand}") from error
    except ValueError as error:
        message = f"{source.url} was downloaded, but its checksum is wrong, not {source.checksum}; it was deleted."
        raise DownloadError(f"{message} Try again: the file may have been damaged on its way. {by_hand}") from error
    except OSError as error:
        raise DownloadError(f"{path} cannot be written: {error}") from error


def _resume(source: Source, part: Path, progress: bool) -> None:
    """Download into `part`, going on behind the bytes that are already there if the server can."""
    import requests

    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(source.url, headers=headers, stream=True, timeout=(10, 60)) as response:
        if response.status_code == 416:  # nothing behind these bytes: all there, or bytes of another file
            complete = response.headers.get("Content-Range") == f"bytes */{done}"
            if not complete:
                part.unlink()
                _resume(source, part, progress)
            return
        response.raise_for_status()
        if response.status_code != 206:
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        if source.exact and source.size and total and total != source.size:
            raise DownloadError(f"{source.url} offers {total:,} bytes in place of {source.size:,}: it is another file.")
        bar = tqdm(desc=part.stem, total=total, initial=done, unit="B", unit_scale=True, disable=not progress)
        with bar, part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(2**20):
                file.write(chunk)
                bar.update(len(chunk))


def _safe_target(info: zipfile.ZipInfo, folder: Path, archive: Path) -> Path:
    target = (folder / info.filename).resolve()
    if not target.is_relative_to(folder) or stat.S_ISLNK(info.external_attr >> 16):
        raise DownloadError(f"{archive} is not safe: it would write outside {folder}, with {info.filename!r}")
    return target


def _there(info: zipfile.ZipInfo, folder: Path) -> bool:
    target = folder / info.filename
    return target.is_file() and target.stat().st_size == info.file_size
