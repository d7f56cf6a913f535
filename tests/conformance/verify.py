#!/usr/bin/env python3
"""A second verifier for what Entente leaves as evidence. It uses none of Entente's code: the
standard library, and `cryptography` for Ed25519. README.md beside it explains the formats.

verify.py ledger DIR VKEY                    a ledger as it is served, replayed whole
verify.py checkpoint FILE VKEY               a signed checkpoint
verify.py proof FILE ENTRY VKEY              a .tlog-proof of one entry
verify.py receipt FILE ENTRY VKEY CHECKPOINT an RFC 9942 receipt of one entry
verify.py entry FILE                         an entry of an access ledger, strictly
verify.py statement FILE KEY.pem             a statement, direct or batch
verify.py openings FILE STATEMENT            openings against a statement's commitments
verify.py tag FILE                           [K_tag, subject, origin, message id, k_sub, tag]

It ends with 0 when all holds; else it says what does not, and ends with 1.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import sys
from collections import namedtuple
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Refused(Exception):
    """It does not hold."""


def need(holds, what):
    if not holds:
        raise Refused(what)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# === deterministic CBOR (RFC 8949 §4.2): one value, one encoding ===

Tag = namedtuple("Tag", "number value")
Simple = namedtuple("Simple", "number")  # not Python's own values: there, True equals 1
FALSE, TRUE, NULL = Simple(20), Simple(21), Simple(22)
LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}  # numbers that need 1, 2, 4, 8 bytes more


def decode(data):
    """The one item that is these bytes: int, bytes, str, list, dict, Tag or Simple."""
    at = 0

    def take(count):
        nonlocal at
        need(count <= len(data) - at, "CBOR is cut short")
        at += count
        return data[at - count : at]

    def item(depth):
        need(depth > 0, "CBOR nests too deeply")
        major, low = divmod(take(1)[0], 32)
        if major == 7:
            need(20 <= low <= 22, "CBOR has a float or an unknown simple value")
            return Simple(low)
        need(low < 24 or low in LEAST, "CBOR has an indefinite length")
        number = low if low < 24 else int.from_bytes(take(1 << (low - 24)), "big")
        need(number >= LEAST.get(low, 0), "CBOR number is longer than need be")
        if major in (0, 1):
            return number if major == 0 else -1 - number
        if major in (2, 3):
            return take(number) if major == 2 else take(number).decode()
        if major == 4:
            return [item(depth - 1) for _ in range(number)]
        if major == 6:
            return Tag(number, item(depth - 1))
        pairs, last = {}, b""
        for _ in range(number):
            start = at
            key = item(depth - 1)
            need(data[start:at] > last, "CBOR map keys are out of order")
            last = data[start:at]
            # No format here has keys that are neither numbers nor texts: their bytes will do.
            pairs[key if type(key) in (int, str) else last] = item(depth - 1)
        return pairs

    value = item(17)
    need(at == len(data), "bytes follow the CBOR item")
    return value


def byte_string(data):
    """As CBOR writes 24 to 65,535 bytes."""
    head = bytes([0x58, len(data)]) if len(data) < 256 else b"\x59" + len(data).to_bytes(2, "big")
    return head + data


# === shapes: each says whether a decoded value is as it must be ===


def exactly(*wanted):
    return lambda value: value in wanted


def either(*shapes):
    return lambda value: any(shape(value) for shape in shapes)


def maybe(shape):
    return lambda value: value == NULL or shape(value)


def sized(kind, least, most, holds):
    return lambda value: type(value) is kind and least <= len(value) <= most and holds(value)


def uint(least=0, most=(1 << 64) - 1):
    return lambda value: type(value) is int and least <= value <= most


def blob(length=None):
    return lambda value: type(value) is bytes and length in (None, len(value))


def text(pattern="(?s:.*)", least=1, most=255):
    """Sized in bytes of UTF-8."""
    size, matches = uint(least, most), re.compile(pattern).fullmatch
    return lambda value: type(value) is str and size(len(value.encode())) and matches(value)


def array(shape, least, most):
    return sized(list, least, most, lambda value: all(map(shape, value)))


def row(*shapes):
    """An array of as many items, each of its own shape."""
    size = len(shapes)
    return sized(list, size, size, lambda value: all(fits(one) for fits, one in zip(shapes, value)))


def table(pair, least, most):
    """A map whose pairs of key and value are each a row of this shape."""
    rows = array(pair, least, most)
    return lambda value: type(value) is dict and rows([list(item) for item in value.items()])


def fitting(shape, value, what):
    need(shape(value), f"{what} is not as it must be")
    return value


HASH, MESSAGE_ID, TAG = blob(32), blob(16), blob(16)
TREE, PATH = row(uint(), HASH), array(HASH, 0, 63)
MOMENT = uint(0, 253_402_207_200_000)
ORIGIN = text("[!-*,-~]+")
LABEL = "[a-z0-9-]{1,63}"
MEMBER = rf"(?=[^/]{{1,128}}/)[a-z]{{2}}(-{LABEL})?(\.{LABEL})*/{LABEL}"
SYSTEM, SERVER = text(f"{MEMBER}/{LABEL}", most=1024), text(f"{MEMBER}/@{LABEL}", most=1024)
METHOD = text(r"(?a)([A-Za-z_]\w*\.)*[A-Za-z_]\w*/[A-Za-z_]\w*")  # \w of ASCII alone
CONTROL = r"\x00-\x1f\x7f-\x9f"


# === signed notes, checkpoints, trees ===

NUMBER = "(0|[1-9][0-9]{0,19})"


def unbase64(line):
    data = base64.b64decode(line.encode(), validate=True)
    need(base64.b64encode(data).decode() == line, "not base64")
    return data


class Key:
    """A log's key: name, key id and Ed25519 public key."""

    def __init__(self, vkey):
        self.name, key_id, data = vkey.split("+", 2)
        data = unbase64(data)
        need(data[0] == 1 and len(data) == 33, "not an Ed25519 key of a log")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])
        self.id = sha256(self.name.encode(), b"\n", data)[:4]
        need(self.id.hex() == key_id, "the key's id is another")


def checkpoint(data, key):
    """Size and root of a checkpoint signed by this key."""
    body, blank, signatures = data.decode().rpartition("\n\n")
    need(blank and data.endswith(b"\n") and len(data) <= 1 << 20, "not a signed note")
    need(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", body), "a note with control characters")
    need(signatures.count("\n") <= 100, "too many signatures")
    verified = False
    for line in signatures.split("\n")[:-1]:
        parts = re.fullmatch(rf"\u2014 ([^+\s{CONTROL}]+) (.*)", line)
        need(parts, "not a signature line")
        signature = unbase64(parts[2])
        need(len(signature) > 4, "not a signature line")
        if parts[1] == key.name and signature[:4] == key.id:
            key.public.verify(signature[4:], f"{body}\n".encode())
            verified = True
    need(verified, "the log did not sign it")
    lines = re.fullmatch(rf"(.*)\n{NUMBER}\n(.*)", body)
    need(lines and lines[1] == key.name, "not a checkpoint of this log")
    return tuple(fitting(TREE, [int(lines[2]), unbase64(lines[3])], "size or root"))


def leaf(entry):
    return sha256(b"\0", entry)


def node(left, right):
    return sha256(b"\1", left, right)


def tree(hashes):
    """RFC 6962 §2.1."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node(tree(hashes[:split]), tree(hashes[split:]))


def root_of_path(size, index, hashed, path):
    """RFC 9162 §2.1.3.2, written by halving: the path is as long as the tree is deep there."""
    need(index < size, "no such leaf")
    need((size > 1) == (len(path) > 0), "the path is not as long as the tree is deep")
    if size == 1:
        return hashed
    split = 1 << (size - 1).bit_length() - 1
    if index < split:
        return node(root_of_path(split, index, hashed, path[:-1]), path[-1])
    return node(path[-1], root_of_path(size - split, index - split, hashed, path[:-1]))


def proof(data, entry, key):
    """C2SP tlog-proof@v1."""
    lines = rf"c2sp\.org/tlog-proof@v1(?:\nextra (.*))?\nindex {NUMBER}((?:\n.+)*)\n\n((?s:.*))"
    parts = re.fullmatch(lines, data.decode())
    need(parts, "not a tlog-proof")
    extra, index, path, note = parts.groups(default="")
    need(len(extra) <= 88 * 1024, "too much in the proof")
    unbase64(extra)
    path = fitting(PATH, [unbase64(line) for line in path.split("\n")[1:]], "the path")
    size, root = checkpoint(note.encode(), key)
    need(root_of_path(size, int(index), leaf(entry), path) == root, "the entry is not in the tree")


# === a ledger's folder, as C2SP tlog-tiles serves it ===


def tile_path(level, index, width):
    groups = f"{index % 1000:03}"
    while index := index // 1000:
        groups = f"x{index % 1000:03}/{groups}"
    return f"tile/{level}/{groups}" + ("" if width == 256 else f".p/{width}")


def bundle(data):
    """Its entries, each still after its length."""
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        need(end <= len(data), "a bundle is cut short")
        entries.append(data[at:end])
        at = end
    return entries


def ledger(folder, key):
    """The checkpoint is of these entries, and every file is what they make it."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    files = {name: path for name, path in files.items() if path.is_file() and name[0] != "."}
    need("checkpoint" in files, "there is no checkpoint")
    size, root = checkpoint(files.pop("checkpoint").read_bytes(), key)

    def take(level, index, parts):
        """This tile, and narrower ones of earlier checkpoints: each must be these bytes."""
        for width in range(1, len(parts) + 1):
            name = tile_path(level, index, width)
            file = files.pop(name, None)
            need(file or width < len(parts), f"{name} is missing")
            need(not file or file.read_bytes() == b"".join(parts[:width]), f"{name} differs")

    hashes = []
    for first in range(0, size, 256):
        width = min(256, size - first)
        name = tile_path("entries", first // 256, width)
        entries = bundle(files[name].read_bytes()) if name in files else []
        need(len(entries) == width, f"{name} is missing or has another number of entries")
        take("entries", first // 256, entries)
        hashes += [leaf(entry[2:]) for entry in entries]
    need(tree(hashes) == root, "the entries lead to another root")
    for level in range(8):
        tiles = [hashes[at : at + 256] for at in range(0, len(hashes), 256)]
        for index, tile in enumerate(tiles):
            take(level, index, tile)
        hashes = [tree(tile) for tile in tiles if len(tile) == 256]
    need(not files, f"nothing writes {sorted(files)[:1]}")


# === COSE_Sign1 and receipts ===

Sign1 = namedtuple("Sign1", "protected unprotected payload signature")


def sign1(data, unprotected, payload):
    tagged = decode(data)
    need(type(tagged) is Tag and tagged.number == 18, "not a COSE_Sign1")
    shape = row(blob(), unprotected, payload, blob(64))
    return Sign1(*fitting(shape, tagged.value, "a COSE_Sign1"))


def check_sign1(parts, headers, signed, public):
    """Its headers are these and, under the key if there is one, its signature is over `signed`."""
    found = decode(parts.protected)
    need(type(found) is dict and blob(8)(found.get(4)), "a protected header without a key id")
    key_id = found.pop(4)
    need(found == {1: -8, **headers}, f"its headers are not {headers}")
    if public:
        der, spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        need(key_id == sha256(public.public_bytes(der, spki))[:8], "it names another key")
        covered = [byte_string(parts.protected), b"\x40", byte_string(signed)]
        public.verify(parts.signature, b"\x84\x6aSignature1" + b"".join(covered))


def open_receipt(data, entry):
    """Its parts, and size and root of the tree in which it places the entry (RFC 9942)."""
    proofs = table(row(exactly(-1), row(blob())), 1, 1)
    parts = sign1(data, table(row(exactly(396), proofs), 1, 1), exactly(NULL))
    found = decode(parts.unprotected[396][-1][0])
    size, index, path = fitting(row(uint(), uint(), PATH), found, "an inclusion proof")
    return parts, size, root_of_path(size, index, leaf(entry), path)


def receipt(data, entry, key, note):
    need(len(data) <= 4096, "the receipt is too long")
    parts, size, root = open_receipt(data, entry)
    check_sign1(parts, {15: {1: key.name, 2: "access-log"}, 395: 1}, root, key.public)
    # The signature covers the root alone; the checkpoint says of how many entries it is.
    need(checkpoint(note, key) == (size, root), "the receipt is of another tree")


# === statements ===

CODE = text("[A-Z][A-Z0-9_]*", most=64)
FAILED = row(uint(1, 2), CODE)
FRAMES = row(uint(1), uint(), HASH)
ELEMENTS = array(text("[a-z][a-z0-9_.-]*", most=63), 0, 256)
LINK = either(row(exactly(1, 2), MESSAGE_ID), row(exactly(3), text(f"[^{CONTROL}]+", most=128)))
FIELDS = [
    # Key; must (R), may (o), must not (-) be in a request, response, fault, close, progress; shape.
    # A key whose shape depends on the kind has a line for each.
    (1, "RRRRR", exactly(1)),
    (2, "RRRRR", uint(1, 5)),
    (3, "RRRRR", MESSAGE_ID),
    (4, "RRRRR", SYSTEM),
    (5, "RRRRR", SYSTEM),
    (6, "RRRRR", METHOD),
    (7, "RRRRR", MOMENT),
    (8, "RR-R-", table(row(uint(1, 255), HASH), 0, 8)),
    (8, "--R-R", exactly({})),
    (9, "ooooo", either(*(array(TAG, count, count) for count in (1, 4, 16)))),
    (10, "RRRRR", CODE),
    (11, "-RRRR", HASH),
    (12, "-RR--", row(ORIGIN, uint(), HASH)),
    (13, "RRRoo", table(row(ORIGIN, TREE), 1, 16)),
    (14, "RRRRR", HASH),
    (15, "RRRRR", uint()),
    (16, "RRRRR", exactly(1, 2)),
    (17, "RR---", lambda value: ELEMENTS(value) and value == sorted(set(value))),
    (18, "RRRRR", SERVER),
    (19, "-R---", exactly([0])),
    (19, "--R--", FAILED),
    (19, "---R-", either(exactly([0]), FAILED)),
    (20, "RRRRR", SERVER),
    (21, "RRRRR", ORIGIN),
    (22, "o----", array(HASH, 1, 8)),
    (23, "o----", table(LINK, 1, 3)),
    (24, "o----", row(uint(0, 4), exactly(FALSE, TRUE))),
    (25, "---R-", row(exactly(0), uint(), HASH)),
    (25, "----R", lambda value: FRAMES(value) and value[0] <= value[1] < value[0] + 256),
]


def statement(data):
    need(len(data) <= 8192, "the statement is too long")
    fields = decode(data)
    need(type(fields) is dict and fields.get(2) in range(1, 6), "not a statement of a known kind")
    rest = {key: value for key, value in fields.items() if not uint(64)(key)}
    for key, presence, shape in FIELDS:
        must = presence[fields[2] - 1]
        need(must != "R" or key in fields, f"key {key} is missing")
        if must != "-" and key in rest:
            fitting(shape, rest.pop(key), f"key {key} ({fields[key]!r:.80})")
    need(not rest, f"keys {list(rest)} do not belong to its kind")
    return fields


def signed_statement(data, public=None):
    """The fields of a statement; its proof is verified when the key is given."""
    need(data and len(data) <= 9216, "the statement is empty or too long")
    if data[0] >> 5 == 6:
        parts = sign1(data, exactly({}), blob())
        signed, fields = parts.payload, statement(parts.payload)
        claims = {1: fields[4], 2: "urn:entente:mid:" + fields[3].hex()}
        headers = {15: claims, 16: "application/entente-stmt+cbor"}
    else:
        both = fitting(row(blob(), blob()), decode(data), "a statement with its receipt")
        fields = statement(both[0])
        parts, size, signed = open_receipt(both[1], both[0])
        need(2 <= size <= 4096, "not a batch")
        headers = {15: {1: fields[20], 2: f"urn:entente:batch:{size}"}, 395: 1}
    check_sign1(parts, headers, signed, public)
    return fields


def openings(data, fields):
    # The payload comes last, and only its value may not have been kept.
    payload, other = row(exactly(1), blob(32), maybe(blob())), row(uint(2, 255), blob(32), blob())
    opened = fitting(array(either(payload, other), 0, 8), decode(data), "a list of openings")
    ranks = [256 if field == 1 else field for field, _, _ in opened]
    need(ranks == sorted(set(ranks)), "openings are out of order")
    for field, salt, value in opened:
        need(field in fields[8], "opens what the statement does not commit to")
        if value != NULL:
            found = sha256(b"entente/commit/v1\0", bytes([field]), salt, value)
            need(found == fields[8][field], f"field {field} is not the one committed to")


def tag(data):
    shape = row(blob(32), blob(), ORIGIN, MESSAGE_ID, blob(32), TAG)
    secret, subject, origin, message, *expected = fitting(shape, decode(data), "a tag's sources")
    key = hmac.digest(secret, b"entente/subject-key/v1\0" + subject, "sha256")
    need(key == expected[0], "the subject's key is another")
    tagged = b"entente/subject-tag/v1\0" + origin.encode() + b"\0" + message
    need(hmac.digest(key, tagged, "sha256")[:16] == expected[1], "the tag is another")


# === entries of an access ledger: [1, kind, time, …] ===

SIDECAR, VIEW, REASON = maybe(HASH), maybe(uint()), text("[A-Z0-9_]+", most=64)
TAGS = array(TAG, 0, 1024)
CALL = row(*[maybe(text())] * 4, maybe(HASH), array(text(), 0, 1024))  # without a statement
ENTRIES = {
    1: (blob(), SIDECAR, VIEW, TAGS),  # IN: statement, …
    2: (blob(), SIDECAR, VIEW),  # OUT: statement, …
    3: (REASON, maybe(SERVER), either(blob(), CALL), SIDECAR, VIEW, TAGS),  # DENIED
    4: (SERVER, array(blob(), 1, 8)),  # SESSION: server, certificates
    5: (TREE, blob()),  # TIMESTAMP: tree, token
    6: (text(), text(), HASH, text()),  # SHRED: class, period, key hash, authority
    7: (blob(),),  # READ: signed query
    8: (text(), uint(), HASH),  # VIEW: registry, size, root
    9: (text(), uint(), maybe(text(least=0, most=16 * 1024))),  # BOOT: version, size found, note
    10: (blob(),),  # PEER-CHECKPOINT: note
    11: (SERVER, text(), array(uint(), 0, 16), array(HASH, 0, 16), REASON),  # RECONCILE
    12: (HASH, uint(1, 4)),  # OUTCOME: request, kind
    13: (HASH, TAGS),  # TAGS: statement, tags
    14: (maybe(text()), REASON, uint(), MOMENT, MOMENT),  # SUMMARY: peer, reason, count, span
}


def entry(data):
    need(len(data) <= 65_535, "the entry is too long")
    items = decode(data)
    need(type(items) is list and len(items) >= 3, "not an entry")
    kind = fitting(uint(1, len(ENTRIES)), items[1], f"kind {items[1]!r:.80}")
    shapes = (exactly(1), exactly(kind), MOMENT, *ENTRIES[kind])
    need(len(items) == len(shapes), "an entry of another length")
    for at, (shape, value) in enumerate(zip(shapes, items)):
        fitting(shape, value, f"item {at} ({value!r:.80})")


# === the command line ===


def read(path):
    return Path(path).read_bytes()


COMMANDS = {  # what checks it, and what makes its arguments of the words
    "ledger": (ledger, Path, Key),
    "checkpoint": (checkpoint, read, Key),
    "proof": (proof, read, read, Key),
    "receipt": (receipt, read, read, Key, read),
    "entry": (entry, read),
    "statement": (signed_statement, read, lambda pem: serialization.load_pem_public_key(read(pem))),
    "openings": (openings, read, lambda path: signed_statement(read(path))),
    "tag": (tag, read),
}


def answer(command, *words):
    """`True`, or what does not hold. Anything but a refusal is a fault of this program."""
    check, *readers = COMMANDS[command]
    try:
        check(*(reader(word) for reader, word in zip(readers, words, strict=True)))
        return True
    except (Refused, InvalidSignature, UnicodeDecodeError, binascii.Error) as refused:
        return str(refused) or "the signature does not verify"  # which comes without words


if __name__ == "__main__":
    if sys.argv[1:] == ["lines"]:
        # One question a line, as a JSON array of words; one answer a line.
        for line in sys.stdin:
            print(json.dumps(answer(*json.loads(line))), flush=True)
    elif len(sys.argv) < 3 or len(COMMANDS.get(sys.argv[1], ())) != len(sys.argv) - 1:
        sys.exit(__doc__)
    elif (said := answer(*sys.argv[1:])) is not True:
        sys.exit(f"refused: {said}")
