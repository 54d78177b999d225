"""Archives from anybody: what is unpacked, what is refused, and that nothing is left then."""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
import subprocess
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.artifacts.archive import unpack
from rie.artifacts.archive_file import CHUNK
from rie.artifacts.errors import BuildError, NoSpaceError
from rie.artifacts.findings import FindingsError
from rie.artifacts.limits import ENTRIES, UNZIPPED
from rie.artifacts.zip_directory import find_directory, read_entries
from tests.artifacts.trees import contents, files_of_at_most, make, names
from tests.artifacts.zips import DOS, FIFO, LINK, MB, Raw, archive, deflated, saved, zeros, zip64
from tests.real.runtimes import require


def refusal(tmp_path: Path, *raws: Raw) -> str:
    """Return why an archive of these entries is refused; see that nothing is left."""
    return refusal_of(saved(tmp_path / "a.zip", *raws))


def refusal_of(path: Path) -> str:
    before = set(names(path.parent))
    with pytest.raises(BuildError) as caught:
        unpack(path, path.parent / "target")
    assert set(names(path.parent)) == before
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}").lstrip(": ")


def test_files_folders_and_links_come_back_with_their_modes(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.zip",
        Raw(name=b"bin/", mode=0o040750),
        Raw(name=b"bin/run", content=b"#!/bin/sh\n", mode=0o100755),
        Raw(name=b"lib/deep/data", content=b"x" * 9, packed=deflated(b"x" * 9), method=8),
        Raw(name=b"run", content=b"bin/run", mode=LINK | 0o777),
    )

    unpack(path, tmp_path / "target")

    assert contents(tmp_path / "target") == {
        "bin": ("folder", 0o750, b""),
        "bin/run": ("file", 0o755, b"#!/bin/sh\n"),
        "lib": ("folder", 0o755, b""),
        "lib/deep": ("folder", 0o755, b""),
        "lib/deep/data": ("file", 0o644, b"x" * 9),
        "run": ("link", 0o777, b"bin/run"),
    }


def test_an_archive_of_the_zip_program_is_unpacked(tmp_path: Path) -> None:
    require("zip")
    folder = make(tmp_path / "a", {"bootstrap*": "#!/bin/sh\n", "lib/é": "1", "lib/l@": "é"})
    subprocess.run(["zip", "-qry", "../a.zip", "."], cwd=folder, check=True)

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert contents(tmp_path / "target") == contents(folder)


def test_an_archive_that_is_written_without_going_back_is_unpacked(tmp_path: Path) -> None:
    require("zip")
    folder = make(tmp_path / "a", {"app.py": "x = 1\n" * 100})
    with (tmp_path / "a.zip").open("wb") as file:  # sizes come after the content: zip -fd
        subprocess.run(["zip", "-qr", "-fd", "-", "."], cwd=folder, stdout=file, check=True)

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert contents(tmp_path / "target") == contents(folder)


def test_what_has_no_modes_gets_the_usual_ones(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.zip",
        Raw(name=b"bootstrap", content=b"#!", system=DOS, mode=0),
        Raw(name=b"lib", system=DOS, attributes=0x10),
    )

    unpack(path, tmp_path / "target")

    assert contents(tmp_path / "target") == {
        "bootstrap": ("file", 0o644, b"#!"),
        "lib": ("folder", 0o755, b""),
    }


def test_nobody_gets_another_users_rights(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"su", mode=0o104755), Raw(name=b"t/", mode=0o041777))

    unpack(path, tmp_path / "target")

    assert stat.S_IMODE((tmp_path / "target/su").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "target/t").stat().st_mode) == 0o777


def test_times_are_those_of_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(zipfile.ZipInfo("a", (2021, 3, 4, 5, 6, 8)), b"")

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert (tmp_path / "target/a").stat().st_mtime == 1614834368


def test_a_time_that_is_none_is_1980(tmp_path: Path) -> None:
    content = bytearray(archive(Raw(name=b"a")))
    at = content.index(b"PK\x01\x02") + 14
    content[at : at + 2] = b"\x00\x00"  # month 0, day 0
    (tmp_path / "a.zip").write_bytes(content)

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert (tmp_path / "target/a").stat().st_mtime == 315532800


def test_names_of_old_systems_are_read_as_they_wrote_them(tmp_path: Path) -> None:
    unpack(saved(tmp_path / "a.zip", Raw(name=b"caf\x82", system=DOS)), tmp_path / "target")

    assert names(tmp_path / "target") == ["café"]


def test_dots_that_lead_nowhere_are_left_out_of_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"./"), Raw(name=b"./a//b", content=b"1"))

    unpack(path, tmp_path / "target")

    assert names(tmp_path / "target") == ["a", "a/b"]


def test_a_program_may_stand_before_the_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"#!/usr/bin/python3\n" + archive(Raw(name=b"a")))

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert names(tmp_path / "target") == ["a"]


def test_a_comment_may_stand_after_it(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive(Raw(name=b"a"), comment=b"PK\x05\x06 made by us"))

    unpack(tmp_path / "a.zip", tmp_path / "target")

    assert names(tmp_path / "target") == ["a"]


def test_zip64_fields_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file, file.open("a", "w", force_zip64=True) as entry:
        entry.write(b"content")
    whole = bytearray(path.read_bytes())
    raw = Raw(name=b"b", size=0xFFFFFFFF, content=b"1234", extra=zip64(4, 4, 0)[:12])

    unpack(path, tmp_path / "target")
    unpack(saved(tmp_path / "b.zip", raw), tmp_path / "other")

    assert b"\x01\x00\x10\x00" in whole
    assert contents(tmp_path / "target")["a"][2] == b"content"
    assert contents(tmp_path / "other")["b"][2] == b"1234"


def test_more_entries_than_16_bits_can_count_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(0x10000 + 5):
            file.writestr(f"{number}", b"")

    with path.open("rb") as stream:
        entries = list(read_entries(stream, find_directory(stream)))

    assert [entry.name for entry in entries[-2:]] == ["65539", "65540"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, not a zip archive; make it anew"),
        (b"\x1f\x8b\x08" + bytes(99), "is a gzip file, not a zip archive; pack its content as zip"),
        (b"<html>no such object</html>", "is a page of markup, not a zip archive"),
        (bytes(257) + b"ustar" + bytes(250), "is a tar archive, not a zip archive"),
        (b"hello", "is not a zip archive; make one with `rie layer build` or `rie package`"),
        (archive(Raw(content=bytes(500)))[:-30], "is cut off, or something was added to its end"),
        (archive(Raw()) + b"\n", "is cut off, or something was added to its end"),
        (archive(Raw(), disk=1), "is one part of several; make it in one"),
        (archive(Raw(disk=3)), "is one part of several; make it in one"),
        (archive(Raw(), count=2), "is damaged: its directory does not agree with it"),
        (archive(Raw(), Raw(name=b"b"), count=1), "is damaged: its directory does not agree"),
        (archive(Raw())[40:], "is damaged: its directory is not where it says"),
        (archive(Raw(at=1)), "is damaged: its directory does not agree with it"),
        (archive(Raw(size=0xFFFFFFFF)), "is damaged: its directory does not agree with it"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_whole_archive_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)

    assert refusal_of(tmp_path / "a.zip").startswith(reason)


def test_every_cut_of_an_archive_is_refused(tmp_path: Path) -> None:
    whole = archive(Raw(name=b"a", content=b"123"), Raw(name=b"b/c", content=b"456"))

    for length in range(len(whole)):
        (tmp_path / "a.zip").write_bytes(whole[:length])
        refusal_of(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (Raw(name=b"/etc/passwd"), "/etc/passwd: is an absolute name"),
        (Raw(name=b"../x"), "../x: leads out of the archive by `..`"),
        (Raw(name=b"a/../../x"), "a/../../x: leads out of the archive by `..`"),
        (Raw(name=b"a/.."), "a/..: leads out of the archive by `..`"),
        (Raw(name=b"a\\..\\x"), "a\\..\\x: has backslashes"),
        (Raw(name=b"a\0.py"), "'a\\x00.py': has a NUL in its name"),
        (Raw(name=b""), "(no name): is an absolute name"),
        (Raw(name=b"\xff\xfe", flags=1 << 11), "'\\udcff\\udcfe': is not UTF-8"),
        (Raw(name=b"x" * 300), "xxxxxxxxxx"),
        (Raw(name=b"a/" * 2100 + b"x"), "a/a/a/a/"),
        (Raw(name=b"pipe", mode=FIFO), "pipe: is a device, a pipe or a socket; leave it out"),
        (Raw(name=b"disk", mode=0o060000), "disk: is a device, a pipe or a socket"),
        (Raw(name=b"d/", content=b"1"), "d/: is a folder with content of its own"),
        (Raw(name=b"a\x1b[2J\n", mode=FIFO), "'a\\x1b[2J\\n': is a device"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, raw: Raw, reason: str) -> None:
    assert refusal(tmp_path, Raw(name=b"good"), raw).startswith(reason)


def test_all_wrong_names_are_found_at_once(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"/a"), Raw(name=b"b/../.."), Raw(name=b"c"))

    with pytest.raises(FindingsError) as caught:
        unpack(path, tmp_path / "target")

    assert [each.path for each in caught.value.findings] == ["/a", "b/../.."]


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, Raw(name=b"a"), Raw(name=b"./a")).startswith(
        "a: is in the archive twice"
    )


def test_a_folder_may_be_told_of_twice(tmp_path: Path) -> None:
    unpack(saved(tmp_path / "a.zip", Raw(name=b"a/"), Raw(name=b"a/")), tmp_path / "target")

    assert names(tmp_path / "target") == ["a"]


@pytest.mark.parametrize("order", [1, -1])
def test_nothing_is_written_through_a_link(tmp_path: Path, order: int) -> None:
    outside = make(tmp_path / "outside", {"kept": "as it was"})
    raws = [
        Raw(name=b"way", content=b"sub", mode=LINK),
        Raw(name=b"sub/"),
        Raw(name=b"way/kept", content=b"changed"),
    ]

    assert refusal(tmp_path, *raws[::order]).startswith("way/kept: is below way, which is a link")
    assert contents(outside)["kept"][2] == b"as it was"


def test_a_file_cannot_be_a_folder_too(tmp_path: Path) -> None:
    reason = refusal(tmp_path, Raw(name=b"a/b/c"), Raw(name=b"a", content=b"1"))

    assert reason.startswith("a/b/c: is below a, which is a file")


@pytest.mark.parametrize(
    "links",
    [
        {"a": "/etc"},
        {"a": ".."},
        {"d/a": "../../x"},
        {"d/a": "x/../../.."},
        # Each stays within by its text; the kernel would follow the first and leave by the second.
        {"d": ".", "e": "d/d/../.."},
        {"a/b": "..", "c": "a/b/.."},
        {"a": "b", "b": "/etc/passwd"},
    ],
    ids=str,
)
def test_a_link_out_of_the_archive_is_refused(tmp_path: Path, links: dict[str, str]) -> None:
    raws = [
        Raw(name=name.encode(), content=target.encode(), mode=LINK)
        for name, target in links.items()
    ]

    assert "is a symbolic link out of the folder" in refusal(tmp_path, *raws)


def test_links_in_a_circle_are_made_as_they_are(tmp_path: Path) -> None:
    raws = [Raw(name=b"a", content=b"b", mode=LINK), Raw(name=b"b", content=b"a", mode=LINK)]

    unpack(saved(tmp_path / "a.zip", *raws), tmp_path / "target")

    assert {name: each[2] for name, each in contents(tmp_path / "target").items()} == {
        "a": b"b",
        "b": b"a",
    }


@pytest.mark.parametrize("target", [b"", b"a\0b", b"x" * 4096])
def test_what_cannot_be_a_links_target_is_refused(tmp_path: Path, target: bytes) -> None:
    assert refusal(tmp_path, Raw(name=b"l", content=target, mode=LINK)).startswith(
        "is damaged: l is no link"
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (Raw(flags=1), "is encrypted (file), which Lambda does not take"),
        (Raw(flags=1 << 6), "is encrypted (file), which Lambda does not take"),
        (Raw(method=12), "is compressed by bzip2 (file), which Lambda does not take; make it"),
        (Raw(method=93), "is compressed by zstd (file)"),
        (Raw(method=77), "is compressed by method 77 (file)"),
        (Raw(method=8, flags=1 << 5), "is compressed by method 8 (file)"),
        (Raw(content=b"1", crc=7), "is damaged: file is not what was packed"),
        (Raw(content=b"1", size=2), "is damaged: file is not what was packed"),
        (Raw(content=b"12", size=1), "is damaged or a bomb: file holds more than the 1 byte "),
        (Raw(content=b"1", packed=b"\xff\xff", method=8), "is damaged: file cannot be decompr"),
        (
            Raw(content=b"1", packed=deflated(b"1")[:-1], method=8),
            "is damaged: file does not end where it says",
        ),
        (
            Raw(content=b"1", packed=deflated(b"1") + b"more", method=8),
            "is damaged: file does not end where it says",
        ),
        (Raw(name=b"file", local_name=b"elif"), "is damaged: an entry has two names"),
        (Raw(name=b"d/", packed=b"x", size=0), "is damaged or a bomb: d/ holds more than the 0"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_content_that_is_not_what_it_says_is_refused(tmp_path: Path, raw: Raw, reason: str) -> None:
    assert refusal(tmp_path, raw).startswith(reason)


def test_content_after_a_whole_piece_of_the_stream_is_not_overlooked(tmp_path: Path) -> None:
    content = bytes(2 * MB)
    raw = Raw(name=b"a", content=content, packed=deflated(content), method=8)

    unpack(saved(tmp_path / "a.zip", raw), tmp_path / "target")

    assert (tmp_path / "target/a").read_bytes() == content


def test_what_the_decompressor_holds_back_is_not_overlooked(tmp_path: Path) -> None:
    content = bytes(CHUNK + 7)  # with this coding all has been read when a piece is full
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_FIXED)
    raw = Raw(content=content, packed=pack.compress(content) + pack.flush(), method=8)

    unpack(saved(tmp_path / "a.zip", raw), tmp_path / "target")

    assert (tmp_path / "target/file").read_bytes() == content


def test_two_names_for_the_same_bytes_are_refused(tmp_path: Path) -> None:
    one = Raw(name=b"one", content=b"1")
    other = Raw(name=b"two", content=b"1", at=0)

    assert refusal(tmp_path, one, other).startswith("is damaged: an entry has two names")


def test_an_entry_inside_of_another_is_refused(tmp_path: Path) -> None:
    inner = Raw(name=b"in", content=b"inside")
    outer = Raw(name=b"out", content=inner.local())
    inside = Raw(name=b"in", content=b"inside", at=len(outer.local()) - len(inner.local()))

    reason = refusal(tmp_path, outer, inside)

    assert reason.startswith("is damaged or a bomb: in shares its bytes with another entry")


def test_a_bomb_that_says_so_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    raw = Raw(packed=zeros(10 * 1024), method=8, crc=0, size=10 * 1024 * MB,
              extra=zip64(10 * 1024 * MB, 0, 0)[:12])  # fmt: skip

    assert refusal(tmp_path, raw).startswith("holds more than 250 MB unzipped, which Lambda")


@pytest.mark.parametrize("told", [0, 1, 100 * MB])
def test_a_bomb_that_lies_is_refused_at_the_size_that_it_told(tmp_path: Path, told: int) -> None:
    bomb = Raw(packed=zeros(10 * 1024), method=8, crc=0, size=told)
    path = saved(tmp_path / "a.zip", bomb)

    with files_of_at_most(UNZIPPED):
        assert refusal_of(path).startswith("is damaged or a bomb: file holds more than the")


def test_what_has_no_room_is_where_it_is_unpacked_and_not_the_archive(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"lib/noise", content=os.urandom(2 * MB)))

    with files_of_at_most(MB), pytest.raises(NoSpaceError) as refused:
        unpack(path, tmp_path / "target")

    assert "a.zip" not in str(refused.value)
    assert str(refused.value).endswith(
        "/lib/noise: File too large; make room there, or write elsewhere"
    )
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("at", [1000, 2**63, 2**64 - 2])
def test_an_entry_that_says_to_be_behind_all_entries_is_refused(tmp_path: Path, at: int) -> None:
    raw = Raw(at=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, at))

    assert refusal(tmp_path, raw).startswith("is damaged: its directory does not agree with it")


def test_few_names_of_very_many_folders_are_refused_at_once(tmp_path: Path) -> None:
    deep = "/".join("x" * 1900).encode()
    # 1.9 million folders, which would take some GB of names.
    raws = [Raw(name=b"%d/%s" % (number, deep)) for number in range(1000)]

    assert refusal(tmp_path, *raws) == f"has more than {ENTRIES} folders; leave some out"


def test_many_files_together_are_held_to_the_limit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", *(Raw(name=b"%d" % n, content=bytes(100)) for n in range(9)))

    with pytest.raises(BuildError, match="holds more than 899 bytes unzipped"):
        unpack(path, tmp_path / "target", unzipped=899)
    unpack(path, tmp_path / "target", unzipped=900)

    assert len(names(tmp_path / "target")) == 9


def test_more_entries_than_the_limit_are_refused_before_they_are_read(tmp_path: Path) -> None:
    content = bytearray(archive(*(Raw(name=b"%d" % n) for n in range(10))))
    count = ENTRIES + 1
    end = content.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + bytes(4) + end.to_bytes(8, "little") + b"\x01\0\0\0"
    record = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(12)
    record += count.to_bytes(8, "little") * 2
    record += int.from_bytes(content[end + 12 : end + 16], "little").to_bytes(8, "little")
    record += int.from_bytes(content[end + 16 : end + 20], "little").to_bytes(8, "little")
    tail = content[end : end + 8] + b"\xff" * 4 + content[end + 12 :]
    (tmp_path / "a.zip").write_bytes(bytes(content[:end]) + record + locator + bytes(tail))

    assert (
        refusal_of(tmp_path / "a.zip")
        == f"has {count} entries, more than the 100000 that rie takes"
    )


@pytest.mark.parametrize(
    ("locator", "reason"),
    [
        (b"PK\x06\x07" + bytes(4) + (9).to_bytes(8, "little") + b"\x02\0\0\0", "is one part of"),
        (b"PK\x06\x07" + bytes(4) + (9).to_bytes(8, "little") + b"\x01\0\0\0", "is damaged: its z"),
        (bytes(20), "is damaged: its directory"),
        (b"", "is damaged: its directory"),
    ],
    ids=["two disks", "no record", "no locator", "no room"],
)
def test_a_zip64_record_that_is_not_there_is_missed(
    tmp_path: Path, locator: bytes, reason: str
) -> None:
    content = archive(Raw(name=b"a", content=bytes(99)), count=0xFFFF)
    end = content.rindex(b"PK\x05\x06")
    head = content[:end] if locator else b""
    (tmp_path / "a.zip").write_bytes(head + locator + content[end:])

    assert refusal_of(tmp_path / "a.zip").startswith(reason)


def test_an_archive_that_is_too_large_itself_is_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(content=bytes(2000)))

    with pytest.raises(BuildError, match=r"a.zip is 2.1 KB zipped, at most 2 KB are allowed"):
        unpack(path, tmp_path / "target", zipped=2048)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.zip"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)

    reason = refusal_of(path)

    expected = "No such file or directory" if kind == "missing" else "is not a file"
    assert reason.startswith(expected)


def test_a_target_that_is_not_empty_is_left_as_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"a"))
    target = make(tmp_path / "target", {"mine": "1"})

    with pytest.raises(BuildError, match="target exists and is not an empty folder"):
        unpack(path, target)

    assert names(target) == ["mine"]


@given(st.randoms(use_true_random=False), st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_a_damaged_archive_is_unpacked_or_refused_and_nothing_else(
    chance: random.Random, changes: int
) -> None:
    text = b"some text " * 40
    content = bytearray(
        archive(
            Raw(name=b"d/"),
            Raw(name=b"d/packed", content=text, packed=deflated(text), method=8),
            Raw(name=b"d/stored", content=b"as it is", mode=0o100755),
            Raw(name=b"link", content=b"d/stored", mode=LINK),
        )
    )
    for _ in range(changes):
        content[chance.randrange(len(content))] = chance.choice((0, 1, 0x2E, 0x2F, 0xFF, 0x80))
    place = Path(tempfile.mkdtemp(prefix="test-of-rie-"))
    try:
        (place / "a.zip").write_bytes(content)
        try:
            unpack(place / "a.zip", place / "target")
        except BuildError:
            assert names(place) == ["a.zip"]
        else:
            assert {path.name for path in place.iterdir()} == {"a.zip", "target"}
    finally:
        shutil.rmtree(place)
