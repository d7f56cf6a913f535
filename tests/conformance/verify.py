#!/usr/bin/env python3
"""A second verifier for what Entente leaves as evidence. It uses none of Entente's code: the standard
library, and `cryptography` for Ed25519. tests/conformance/README.md explains the formats.

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
import hashlib
import hmac
import json
import re
import sys
import unicodedata
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key


class Refused(Exception):
    """It does not hold."""


def need(holds, what):
    if not holds:
        raise Refused(what)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# === deterministic CBOR (RFC 8949 §4.2): one value, one encoding ===


class Map(list):
    """Pairs in the order of their keys' encodings, each key once."""


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def decode(data):
    value, end = item(data, 0, 17)
    need(end == len(data), "bytes follow the CBOR item")
    return value


def item(data, at, depth):
    need(depth > 0, "CBOR nests too deeply")
    need(at < len(data), "CBOR is cut short")
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        need(20 <= low <= 22, "CBOR has a float or an unknown simple value")
        return {20: False, 21: True, 22: None}[low], at
    need(low <= 27, "CBOR has an indefinite length")
    if low < 24:
        number = low
    else:
        width = 1 << (low - 24)
        need(at + width <= len(data), "CBOR is cut short")
        number = int.from_bytes(data[at : at + width], "big")
        at += width
        need(number >= (24 if width == 1 else 1 << (4 * width)), "CBOR number is longer than need be")
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        need(at + number <= len(data), "CBOR is cut short")
        part = data[at : at + number]
        try:
            return (part if major == 2 else part.decode()), at + number
        except UnicodeDecodeError:
            raise Refused("CBOR text is not UTF-8") from None
    if major == 6:
        value, at = item(data, at, depth - 1)
        return Tag(number, value), at
    need(number <= len(data) - at, "CBOR is cut short")
    values = [] if major == 4 else Map()
    last = b""
    for _ in range(number):
        start = at
        value, at = item(data, at, depth - 1)
        if major == 5:
            need(data[start:at] > last, "CBOR map keys are out of order")
            last = data[start:at]
            other, at = item(data, at, depth - 1)
            value = (value, other)
        values.append(value)
    return values, at


def head(major, number):
    """Of a CBOR item, for the few we write."""
    for low, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << (8 * width):
            return bytes([major << 5 | low]) + number.to_bytes(width, "big")


def byte_string(data):
    return head(2, len(data)) + data


# === what a value must be ===


def uint(value, most=(1 << 64) - 1, least=0):
    need(type(value) is int and least <= value <= most, "a number is out of bounds")
    return value


def blob(value, length=None):
    need(type(value) is bytes and length in (None, len(value)), "a byte string is not as it must be")
    return value


def listed(value, most, least=0):
    need(type(value) is list and least <= len(value) <= most, "a list is not as it must be")
    return value


def tuple_of(value, length):
    return listed(value, length, length)


def mapped(value, most, least=0):
    need(type(value) is Map and least <= len(value) <= most, "a map is not as it must be")
    return value


def text(value, pattern=None, most=255, least=1):
    need(type(value) is str and least <= len(value.encode()) <= most, "a text is not as it must be")
    need(pattern is None or re.fullmatch(pattern, value), f"not a name: {value!r}")
    return value


def keyed(value, most):
    """A map whose keys are all numbers."""
    need(all(type(key) is int for key, _ in mapped(value, most)), "a key that is no number")
    return dict(value)


def moment(value):
    return uint(value, 253_402_207_200_000)


def tags(value, counts=range(1025)):
    need(type(value) is list and len(value) in counts, "a list of tags is not as it must be")
    for tag in value:
        blob(tag, 16)


def hashed(value):
    return blob(value, 32)


def origin(value):
    return text(value, "[!-*,-~]+")


LABEL = "[a-z0-9-]{1,63}"
MEMBER = rf"(?=[^/]{{1,128}}/)[a-z]{{2}}(-{LABEL})?(\.{LABEL})*/{LABEL}"
SYSTEM, SERVER = f"{MEMBER}/{LABEL}", f"{MEMBER}/@{LABEL}"
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
METHOD = rf"{IDENTIFIER}(\.{IDENTIFIER})*/{IDENTIFIER}"
ELEMENT = "[a-z][a-z0-9_.-]*"
CODE = "[A-Z][A-Z0-9_]*"


def server(value):
    return text(value, SERVER, most=1024)


def maybe(check):
    return lambda value: value is None or check(value)


# === signed notes, checkpoints, trees ===


def unbase64(line):
    try:
        data = base64.b64decode(line, validate=True)
    except ValueError:
        raise Refused("not base64") from None
    need(base64.b64encode(data).decode() == line, "not base64")
    return data


def decimal(line):
    need(re.fullmatch("0|[1-9][0-9]{0,19}", line), "not a number")
    return uint(int(line))


class Key:
    """A log's key: name, key id and Ed25519 public key."""

    def __init__(self, vkey):
        self.name, key_id, data = vkey.split("+", 2)
        data = unbase64(data)
        need(data[0] == 1 and len(data) == 33, "not an Ed25519 key of a log")
        self.public = Ed25519PublicKey.from_public_bytes(data[1:])
        self.id = sha256(self.name.encode(), b"\n", data)[:4]
        need(self.id.hex() == key_id, "the key's id is another")


def verify(public, signature, message):
    try:
        public.verify(signature, message)
    except InvalidSignature:
        raise Refused("the signature does not verify") from None


def is_name(name):
    return name and not any(c == "+" or c.isspace() or unicodedata.category(c) == "Cc" for c in name)


def checkpoint(data, key):
    """Size and root of a checkpoint signed by this key."""
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise Refused("a note is not UTF-8") from None
    at = note.rfind("\n\n")
    need(at >= 0 and note.endswith("\n") and len(data) <= 1 << 20, "not a signed note")
    body, lines = note[: at + 1], note[at + 2 : -1].split("\n")
    need(len(lines) <= 100, "too many signatures")
    need(not any(c < " " and c != "\n" or c == "\x7f" for c in body), "a note with control characters")
    verified = False
    for line in lines:
        need(line.startswith("\u2014 "), "not a signature line")
        name, space, blob64 = line[2:].partition(" ")
        need(space and is_name(name), "not a signature line")
        signature = unbase64(blob64)
        need(len(signature) > 4, "not a signature line")
        if name == key.name and signature[:4] == key.id:
            verify(key.public, signature[4:], body.encode())
            verified = True
    need(verified, "the log did not sign it")
    lines = body[:-1].split("\n")
    need(len(lines) == 3 and lines[0] == key.name, "not a checkpoint of this log")
    return decimal(lines[1]), hashed(unbase64(lines[2]))


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


def root_of_path(size, index, hashed_leaf, path):
    """RFC 9162 §2.1.3.2, written by halving: the path is as long as the tree is deep there."""
    need(index < size, "no such leaf")
    if size == 1:
        need(not path, "the path is too long")
        return hashed_leaf
    need(path, "the path is too short")
    split = 1 << (size - 1).bit_length() - 1
    if index < split:
        return node(root_of_path(split, index, hashed_leaf, path[:-1]), path[-1])
    return node(path[-1], root_of_path(size - split, index - split, hashed_leaf, path[:-1]))


def proof(data, entry, key):
    try:
        lines, blank, note = data.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Refused("not a tlog-proof") from None
    need(blank, "not a tlog-proof")
    lines = lines.split("\n")
    need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    if lines and lines[0].startswith("extra "):
        need(len(lines[0]) <= 88 * 1024 + 6, "too much in the proof")
        unbase64(lines.pop(0)[6:])
    need(lines and lines[0].startswith("index "), "a proof without an index")
    index = decimal(lines.pop(0)[6:])
    path = [hashed(unbase64(line)) for line in lines]
    need(len(path) <= 63, "the path is too long")
    size, root = checkpoint(note.encode(), key)
    need(root_of_path(size, index, leaf(entry), path) == root, "the entry is not in the tree")


# === a ledger's folder, as C2SP tlog-tiles serves it ===


def tile_path(level, index, width):
    groups = f"{index % 1000:03}"
    while index := index // 1000:
        groups = f"x{index % 1000:03}/{groups}"
    return f"tile/{level}/{groups}" + ("" if width == 256 else f".p/{width}")


def bundle(data):
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        need(at + 2 <= len(data) and end <= len(data), "a bundle is cut short")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def ledger(folder, key):
    folder = Path(folder)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found = {name: path for name, path in found.items() if not name.startswith(".")}
    need("checkpoint" in found, "there is no checkpoint")
    size, root = checkpoint(found.pop("checkpoint").read_bytes(), key)

    def take(level, index, parts):
        """The tile at this place, and narrower ones of earlier checkpoints: each must be these bytes."""
        need(tile_path(level, index, len(parts)) in found, f"{tile_path(level, index, len(parts))} is missing")
        for width in range(1, len(parts) + 1):
            file = found.pop(tile_path(level, index, width), None)
            need(file is None or file.read_bytes() == b"".join(parts[:width]), f"{file} differs")

    hashes = []
    for first in range(0, size, 256):
        name = tile_path("entries", first // 256, min(256, size - first))
        need(name in found, f"{name} is missing")
        entries = bundle(found[name].read_bytes())
        need(len(entries) == min(256, size - first), f"{name} has another number of entries")
        take("entries", first // 256, [len(entry).to_bytes(2, "big") + entry for entry in entries])
        hashes += [leaf(entry) for entry in entries]
    need(tree(hashes) == root, "the entries lead to another root")
    level = 0
    while hashes:
        for first in range(0, len(hashes), 256):
            take(level, first // 256, hashes[first : first + 256])
        hashes = [tree(hashes[at : at + 256]) for at in range(0, len(hashes) // 256 * 256, 256)]
        level += 1
    need(not found, f"nothing writes {sorted(found)[:1]}")


# === COSE_Sign1 and receipts ===


def sign1(data):
    """Headers, inclusion proof, payload, and what verifies the signature over a payload."""
    outer = decode(data)
    need(type(outer) is Tag and outer.number == 18, "not a COSE_Sign1")
    protected, unprotected, payload, signature = tuple_of(outer.value, 4)
    headers = keyed(decode(blob(protected)), 5)
    need(set(headers) <= {1, 4, 15, 16, 395} and {1, 4} <= set(headers), "headers that are not known")
    need(type(headers[1]) is int and headers[1] == -8, "not signed with Ed25519")
    blob(headers[4], 8)
    if 15 in headers:
        claims = keyed(headers[15], 2)
        need(list(claims) == [1, 2], "claims that are not known")
        headers[15] = [text(value, most=512, least=0) for value in claims.values()]
    if 16 in headers:
        text(headers[16], most=512, least=0)
    if 395 in headers:
        uint(headers[395])
    inclusion = None
    if unprotected := keyed(unprotected, 1):
        need(set(unprotected) == {396}, "an unprotected header that is not known")
        proofs = keyed(unprotected[396], 1)
        need(set(proofs) == {-1}, "not an inclusion proof")
        inclusion = blob(tuple_of(proofs[-1], 1)[0])
    need(payload is None or type(payload) is bytes, "a payload that is no byte string")
    blob(signature, 64)

    def check(public, signed):
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        need(headers[4] == sha256(spki)[:8], "it names another key")
        parts = [b"\x84\x6aSignature1", byte_string(protected), byte_string(b""), byte_string(signed)]
        verify(public, signature, b"".join(parts))

    return headers, inclusion, payload, check


def inclusion_proof(data, most):
    size, index, path = tuple_of(decode(data), 3)
    return uint(size), uint(index), [hashed(step) for step in listed(path, most)]


def receipt(data, entry, key, note):
    need(len(data) <= 4096, "the receipt is too long")
    headers, inclusion, payload, check = sign1(data)
    need(set(headers) == {1, 4, 15, 395} and headers[395] == 1, "not a receipt's headers")
    need(headers[15] == [key.name, "access-log"], "a receipt of another log")
    need(inclusion is not None and payload is None, "not a receipt")
    size, index, path = inclusion_proof(inclusion, 63)
    root = root_of_path(size, index, leaf(entry), path)
    check(key.public, root)
    # The signature covers the root alone; the checkpoint says of how many entries it is.
    need(checkpoint(note, key) == (size, root), "the receipt is of another size than the checkpoint")


# === statements ===

EVERY = {1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15, 16, 18, 20, 21}
KINDS = {  # kind: keys it must have besides, keys it may have
    1: ({13, 17}, {9, 22, 23, 24}),
    2: ({11, 12, 13, 17, 19}, {9}),
    3: ({11, 12, 13, 19}, {9}),
    4: ({11, 19, 25}, {9, 13}),
    5: ({11, 25}, {9, 13}),
}


def statement(data):
    need(len(data) <= 8192, "the statement is too long")
    fields = keyed(decode(data), 8192)
    need(min(fields, default=0) >= 1, "keys that are not known")
    need(uint(fields.get(1)) == 1, "another version")
    kind = uint(fields.get(2), 5, 1)
    must, may = KINDS[kind]
    critical = {key for key in fields if key < 64}
    need(EVERY | must <= critical <= EVERY | must | may, "keys that do not belong to its kind")
    for key in critical - {1, 2}:
        FIELDS[key](fields[key], kind)
    return fields


def commitments(value, kind):
    for field, commitment in mapped(value, 0 if kind in (3, 5) else 8):
        uint(field, 255, 1)
        hashed(commitment)


def stated_receipt(value, _):
    where, index, leaf_hash = tuple_of(value, 3)
    origin(where), uint(index), hashed(leaf_hash)


def views(value, _):
    for registry, view in mapped(value, 16, 1):
        size, root = tuple_of(view, 2)
        origin(registry), uint(size), hashed(root)


def elements(value, _):
    names = [text(name, ELEMENT, most=63) for name in listed(value, 256)]
    need(names == sorted(set(names)), "elements are not ascending")


def outcome(value, kind):
    code, *reason = listed(value, 2, 1)
    uint(code, 2)
    need(len(reason) == (code > 0), "an outcome with or without a reason")
    need(kind == 4 or (code == 0) == (kind == 2), "an outcome that is not its kind's")
    for word in reason:
        text(word, CODE, most=64)


def links(value, _):
    for link, other in mapped(value, 3, 1):
        if uint(link, 3, 1) < 3:
            blob(other, 16)
        else:
            text(other, most=128)
            need(not any(unicodedata.category(c) == "Cc" for c in other), "an operation's name")


def actor(value, _):
    assurance, automated = tuple_of(value, 2)
    uint(assurance, 4)
    need(type(automated) is bool, "automated or not")


def stream(value, kind):
    first, last, chained = tuple_of(value, 3)
    uint(first), uint(last), hashed(chained)
    need(first == 0 if kind == 4 else 1 <= first <= last < first + 256, "frames that cannot be")


def of(check, *bounds, **more):
    return lambda value, _: check(value, *bounds, **more)


FIELDS = {
    3: of(blob, 16),
    4: of(text, SYSTEM, most=1024),
    5: of(text, SYSTEM, most=1024),
    6: of(text, METHOD),
    7: of(moment),
    8: commitments,
    9: of(tags, (1, 4, 16)),
    10: of(text, CODE, most=64),
    11: of(hashed),
    12: stated_receipt,
    13: views,
    14: of(hashed),
    15: of(uint),
    16: of(uint, 2, 1),
    17: elements,
    18: of(server),
    19: outcome,
    20: of(server),
    21: of(origin),
    22: lambda value, _: [hashed(mandate) for mandate in listed(value, 8, 1)],
    23: links,
    24: actor,
    25: stream,
}


def signed_statement(data, public=None):
    """The fields of a statement; its proof is verified when the key is given."""
    need(data and len(data) <= 9216, "the statement is too long")
    if data[0] >> 5 == 6:
        headers, inclusion, signed, check = sign1(data)
        need(set(headers) == {1, 4, 15, 16} and inclusion is None, "not a direct statement's headers")
        need(headers[16] == "application/entente-stmt+cbor", "not a statement")
        fields = statement(blob(signed))
        need(headers[15] == [fields[4], "urn:entente:mid:" + fields[3].hex()], "claims that are not its own")
    else:
        payload, proof = tuple_of(decode(data), 2)
        headers, inclusion, nothing, check = sign1(blob(proof))
        need(set(headers) == {1, 4, 15, 395} and headers[395] == 1, "not a batch receipt's headers")
        need(inclusion is not None and nothing is None, "not a batch receipt")
        fields = statement(blob(payload))
        size, index, path = inclusion_proof(inclusion, 12)
        need(2 <= size <= 4096, "not a batch")
        need(headers[15] == [fields[20], f"urn:entente:batch:{size}"], "claims that are not its own")
        signed = root_of_path(size, index, leaf(payload), path)
    if public:
        check(public, signed)
    return fields


def openings(data, fields):
    committed, last = dict(fields[8]), 0
    for opening in listed(decode(data), 8):
        field, salt, value = tuple_of(opening, 3)
        # The payload comes last, and only its value may not have been kept.
        rank = 256 if uint(field, 255, 1) == 1 else field
        need(rank > last, "openings are out of order")
        last = rank
        blob(salt, 32)
        need(field in committed, "opens what the statement does not commit to")
        need(value is not None or field == 1, "a value is missing")
        if value is not None:
            found = sha256(b"entente/commit/v1\0", bytes([field]), salt, blob(value))
            need(found == committed[field], f"field {field} is not the one committed to")


def tag(data):
    secret, subject, where, message, subject_key, expected = tuple_of(decode(data), 6)
    mac = hmac.digest(blob(secret, 32), b"entente/subject-key/v1\0" + blob(subject), "sha256")
    need(mac == blob(subject_key), "the subject's key is another")
    message = b"entente/subject-tag/v1\0" + origin(where).encode() + b"\0" + blob(message, 16)
    need(hmac.digest(mac, message, "sha256")[:16] == blob(expected), "the tag is another")


# === entries of an access ledger: [1, kind, time, …] ===


def all_of(check, most, least=0):
    return lambda value: [check(one) for one in listed(value, most, least)]


def denied_call(value):
    if type(value) is not list:
        return blob(value)
    system, to, method, purpose, agreement, asked = tuple_of(value, 6)
    for word in (system, to, method, purpose):
        maybe(text)(word)
    maybe(hashed)(agreement)
    all_of(text, 1024)(asked)


def stamped(value):
    size, root = tuple_of(value, 2)
    uint(size), hashed(root)


def code(value):
    return text(value, "[A-Z0-9_]+", most=64)


def note_text(value):
    return text(value, most=16 * 1024, least=0)


ENTRIES = {
    1: (blob, maybe(hashed), maybe(uint), tags),  # IN: statement, sidecar, view, own tags
    2: (blob, maybe(hashed), maybe(uint)),  # OUT
    3: (code, maybe(server), denied_call, maybe(hashed), maybe(uint), tags),  # DENIED
    4: (server, all_of(blob, 8, 1)),  # SESSION: server, certificates
    5: (stamped, blob),  # TIMESTAMP: [size, root], token
    6: (text, text, hashed, text),  # SHRED: class, period, key hash, authority
    7: (blob,),  # READ: signed query
    8: (text, uint, hashed),  # VIEW: registry, size, root
    9: (text, uint, maybe(note_text)),  # BOOT: version, last size, note
    10: (blob,),  # PEER-CHECKPOINT: note
    11: (server, text, all_of(uint, 16), all_of(hashed, 16), code),  # RECONCILE
    12: (hashed, lambda value: uint(value, 4, 1)),  # OUTCOME: request, kind
    13: (hashed, tags),  # TAGS: statement, tags
    14: (maybe(text), code, uint, moment, moment),  # SUMMARY: peer, reason, count, first, last
}


def entry(data):
    need(len(data) <= 65_535, "the entry is too long")
    version, kind, time, *rest = listed(decode(data), 9, 3)
    need(uint(version) == 1 and uint(kind) in ENTRIES, "an entry that is not known")
    moment(time)
    need(len(rest) == len(ENTRIES[kind]), "an entry of another length")
    for check, value in zip(ENTRIES[kind], rest):
        check(value)


# === the command line ===


def run(words):
    command, *words = words
    if command == "ledger":
        return ledger(words[0], Key(words[1]))
    files = {"checkpoint": 1, "proof": 2, "receipt": 2, "entry": 1, "statement": 2, "openings": 2, "tag": 1}
    data = [Path(word).read_bytes() for word in words[: files[command]]]
    if command == "checkpoint":
        checkpoint(data[0], Key(words[1]))
    elif command == "proof":
        proof(*data, Key(words[2]))
    elif command == "receipt":
        receipt(*data, Key(words[2]), Path(words[3]).read_bytes())
    elif command == "entry":
        entry(*data)
    elif command == "statement":
        signed_statement(data[0], load_pem_public_key(data[1]))
    elif command == "openings":
        openings(data[0], signed_statement(data[1]))
    else:
        tag(*data)


def answer(words):
    """`True`, or what does not hold. Anything but a refusal is a fault of this program."""
    try:
        run(words)
        return True
    except Refused as refused:
        return str(refused)


if __name__ == "__main__":
    if sys.argv[1:] == ["lines"]:
        # One question a line, as a JSON array of words; one answer a line.
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
    elif len(sys.argv) < 3:
        sys.exit(__doc__)
    elif (said := answer(sys.argv[1:])) is not True:
        sys.exit(f"refused: {said}")
