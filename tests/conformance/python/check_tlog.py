"""Checks a ledger's files with aics-tlog, which shares nothing with our code. Ends with 0 when they hold.

check_tlog.py ledger DIR VKEY [--witness VKEY]... [--older CHECKPOINT]...
check_tlog.py proof FILE ENTRY VKEY
check_tlog.py write ENTRIES DIR SIZE...        an independent writer: tiles of each size
"""

import argparse
import struct
import sys
from pathlib import Path

import lines
from aics_tlog import (
    FileSystemTileReader,
    TileWriter,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    inclusion_proof_from_tiles,
    leaf_hash,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    tree_root_from_tiles,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
    verify_leaf_inclusion,
)
from aics_tlog.note import b64_decode


def require(holds, what):
    if not holds:
        sys.exit(f"check_tlog: {what}")


def opened(data, vkey, witnesses=()):
    """The checkpoint in a note, signed by the log and by all of these witnesses."""
    note = parse_note(data)
    keys = [parse_vkey(key) for key in witnesses]
    key = parse_vkey(vkey)
    result = verify_checkpoint(note, key, keys, len(keys), expected_origin=key.name)
    require(result.ok and result.log_ok, f"checkpoint: {result.error}")
    return parse_checkpoint(note.text)


def ledger(args):
    folder = Path(args.dir)
    checkpoint = opened((folder / "checkpoint").read_bytes(), args.vkey, args.witness)
    size, root = checkpoint.size, checkpoint.root
    files = FileSystemTileReader(folder)
    report = audit_tiles(files, size, root)
    tiles = VerifiedTileReader(files, size, root)
    if size:
        require(tree_root_from_tiles(tiles, size) == root, "the tiles lead to another root")
    for index in sorted({0, size // 3, size // 2, size - 1} if size else ()):
        path = inclusion_proof_from_tiles(tiles, index, size)
        require(verify_leaf_inclusion(tiles.entry(index), index, size, path, root), f"entry {index}")
    for older in args.older:
        old = opened(Path(older).read_bytes(), args.vkey)
        path = consistency_proof_from_tiles(tiles, old.size, size)
        require(verify_consistency(old.size, size, old.root, root, path), f"{older} is of another tree")
    require(report.bundles == (size + 255) // 256, "bundles were left out")


def proof(args):
    head, _, note = Path(args.file).read_bytes().decode().partition("\n\n")
    lines = head.split("\n")
    require(lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    require(lines[1].startswith("index "), "a tlog-proof without an index")
    index, path = int(lines[1][6:]), [b64_decode(line) for line in lines[2:]]
    checkpoint = opened(note, args.vkey)
    leaf = leaf_hash(Path(args.entry).read_bytes())
    require(verify_inclusion(leaf, index, checkpoint.size, path, checkpoint.root), "not in the tree")


def write(args):
    data = Path(args.entries).read_bytes()
    entries, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">H", data, at)
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    for size in args.sizes:
        folder = Path(args.dir) / str(size)
        folder.mkdir()  # an empty tree has no file
        TileWriter(entries[:size]).write_to(folder)


def main(words):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ledger")
    command.add_argument("dir")
    command.add_argument("vkey")
    command.add_argument("--witness", action="append", default=[])
    command.add_argument("--older", action="append", default=[])
    command.set_defaults(run=ledger)
    command = commands.add_parser("proof")
    for name in ("file", "entry", "vkey"):
        command.add_argument(name)
    command.set_defaults(run=proof)
    command = commands.add_parser("write")
    command.add_argument("entries")
    command.add_argument("dir")
    command.add_argument("sizes", type=int, nargs="+")
    command.set_defaults(run=write)
    args = parser.parse_args(words)
    args.run(args)


lines.run(main)
