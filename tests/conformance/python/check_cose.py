"""Checks statements and receipts with scitt-cose and with pycose: both must agree. Ends with 0 when they hold.

check_cose.py direct FILE KEY.pem            a statement signed alone
check_cose.py batch FILE KEY.pem             a statement with a receipt over its own bytes
check_cose.py receipt FILE ENTRY KEY.pem     a receipt of a ledger's entry
"""

import sys
from pathlib import Path

import cbor2
import lines
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage
from scitt_cose import merkle, parse_signed_statement, verify_receipt

VDP, INCLUSION = 396, -1


def require(holds, what):
    if not holds:
        sys.exit(f"check_cose: {what}")


def by_pycose(data, pem, detached=None):
    raw = load_pem_public_key(pem).public_bytes(Encoding.Raw, PublicFormat.Raw)
    message = CoseMessage.decode(data)
    message.key = OKPKey(crv=Ed25519, x=raw)
    valid = message.verify_signature(detached_payload=detached) if detached else message.verify_signature()
    require(valid, "pycose: the signature does not verify")
    return message


def direct(data, pem):
    parsed = parse_signed_statement(data, public_key_pem=pem)
    require(parsed["signature_verified"] is True, "scitt-cose: the statement does not verify")
    message = by_pycose(data, pem)
    require(message.payload == parsed["payload"], "the two tools read two payloads")
    fields = cbor2.loads(message.payload)
    require(parsed["issuer"] == fields[4], "issuer and sender differ")
    require(parsed["subject"] == "urn:entente:mid:" + fields[3].hex(), "subject and message id differ")


def receipt(data, entry, pem):
    result = verify_receipt(data, leaf_entry_hex=entry.hex(), log_public_key_pem=pem)
    require(result.ok, f"scitt-cose: {result.errors}")
    # pycose knows no trees: the root comes from the path in the receipt, the signature from pycose.
    size, index, path = cbor2.loads(CoseMessage.decode(data).uhdr[VDP][INCLUSION][0])
    root = merkle.root_from_inclusion_proof(entry.hex(), index, size, [step.hex() for step in path])
    require(root == result.root, "the path leads to another root")
    by_pycose(data, pem, bytes.fromhex(root))
    return result


def batch(data, pem):
    statement, proof = cbor2.loads(data)
    result = receipt(proof, statement, pem)
    require(result.issuer == cbor2.loads(statement)[20], "issuer and sending server differ")


def main(words):
    form, *files = words
    *objects, key = [Path(file).read_bytes() for file in files]
    {"direct": direct, "batch": batch, "receipt": receipt}[form](*objects, key)


lines.run(main)
