"""A power cut for a node that ran with power.c preloaded: takes back what no sync had made safe."""

import pathlib
import struct

SECTOR = 512
MAGIC = 0x706f7772
BEFORE = struct.Struct("<IIQQQ")
CHANGE = struct.Struct("<IIQ120s120s")
CREATED, RENAMED, REMOVED = 1, 2, 3


def environment(library, data):
    """What a node with this data directory is started with."""
    lost = pathlib.Path(f"{data}.lost")
    lost.mkdir(parents=True, exist_ok=True)
    return {"LD_PRELOAD": str(library), "HIVEMIND_POWER_DATA": str(data),
            "HIVEMIND_POWER_LOST": str(lost), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def lie(data):
    """From now on syncs of this node only say that they have happened, until the power is cut."""
    pathlib.Path(f"{data}.lost", "lies").touch()


def _changes(lost):
    path = lost / "dir"
    blob = path.read_bytes() if path.exists() else b""
    changes = []
    for at in range(0, len(blob) - CHANGE.size + 1, CHANGE.size):
        magic, kind, kept, old, new = CHANGE.unpack_from(blob, at)
        assert magic == MAGIC, f"{path} at {at}"
        changes.append((kind, kept, old.split(b"\0")[0].decode(), new.split(b"\0")[0].decode()))
    return changes


def _take_back(data, lost, change):
    kind, kept, old, new = change
    kept = lost / f"kept-{kept}"
    if kind == CREATED:
        (data / old).unlink(missing_ok=True)
    elif kind == RENAMED and not (data / old).exists() and (data / new).exists():
        (data / new).rename(data / old)
        if kept.exists():
            kept.rename(data / new)
    elif kind == REMOVED and not (data / old).exists() and kept.exists():
        kept.rename(data / old)


def _cut_file(path, undo, chance):
    """Each sector is any of the versions that it had since the last sync, the size any, too."""
    blob = undo.read_bytes()
    records = []
    at = 0
    while at + BEFORE.size <= len(blob):
        magic, _, offset, size, file_bytes = BEFORE.unpack_from(blob, at)
        assert magic == MAGIC, f"{undo} at {at}"
        at += BEFORE.size
        if at + size > len(blob):
            break
        records.append((offset, blob[at:at + size], file_bytes))
        at += size
    settled = set()
    size = None
    with path.open("r+b") as file:
        for offset, old, file_bytes in reversed(records):
            for start in range(0, len(old), SECTOR):
                sector = (offset + start) // SECTOR
                if sector in settled or chance():
                    settled.add(sector)
                    continue
                file.seek(offset + start)
                file.write(old[start:start + SECTOR])
            if size != "settled" and file_bytes != path.stat().st_size:
                if chance():
                    size = "settled"
                else:
                    file.flush()
                    file.truncate(file_bytes)


def cut(data, rng, kept=None):
    """The node is dead. Everything unsafe may be lost, or kept, or some of it: `kept` is the chance."""
    data = pathlib.Path(data)
    lost = pathlib.Path(f"{data}.lost")
    kept = rng.choice([0.0, 0.0, 1.0, rng.random()]) if kept is None else kept

    def chance():
        return rng.random() < kept
    changes = _changes(lost)
    undone = 0
    while changes and not chance():
        _take_back(data, lost, changes.pop())
        undone += 1
    files = 0
    for path in data.iterdir():
        undo = lost / f"file-{path.stat().st_ino}"
        if undo.exists():
            _cut_file(path, undo, chance)
            files += 1
    for path in lost.iterdir():
        path.unlink()
    return f"{undone} changes of the directory and writes to {files} files were unsafe"
