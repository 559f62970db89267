# Proofs of identity for Belfry in Python, with nothing but its standard library.
#
#   BELFRY_PUBLIC_KEY=pk_… BELFRY_IDENTITY_SECRET=isk_… python3 sign.py FORM ARGUMENTS
#
#   plain ID            v2-subscriber ID SECONDS
#   base64 ID           v2-traits ID SECONDS NAME=VALUE …
#   dotted ID SECONDS   v2-company ID COMPANY SECONDS
#
# SECONDS is Unix time: int(time.time()).

import base64
import hashlib
import hmac
import json
import os
import sys
import unicodedata

PUBLIC_KEY = os.environ.get("BELFRY_PUBLIC_KEY", "")
SECRET = os.environ.get("BELFRY_IDENTITY_SECRET", "")
if len(SECRET) < 32:
    sys.exit("BELFRY_IDENTITY_SECRET is not set, or too short")


def checked(subscriber_id):
    """An id with a line feed in it could say more than an id."""
    if not 1 <= len(subscriber_id.encode("utf-8")) <= 255 or any(unicodedata.category(c) == "Cc" for c in subscriber_id):
        raise ValueError("not an id")
    return subscriber_id


def mac(text):
    """An HMAC under the secret; never hashlib.sha256(secret + text), which is another thing."""
    return hmac.new(SECRET.encode("utf-8"), text.encode("utf-8"), hashlib.sha256)


def canonical(traits):
    """
    Canonical JSON (RFC 8785) of a flat dict. The RFC sorts names by UTF-16 code units, hence the key; sort_keys goes by code points.
    Good for text, booleans, None and whole numbers up to 2**53. Not for float: Python writes 1.0 and 1e+16 where the RFC writes 1 and
    10000000000000000. Send such a number as text.
    """
    ordered = dict(sorted(traits.items(), key=lambda item: item[0].encode("utf-16-be")))
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def digest(traits):
    return hashlib.sha256(canonical(traits).encode("utf-8")).hexdigest()


def plain(subscriber_id):
    return mac(checked(subscriber_id)).hexdigest()


def plain_base64(subscriber_id):
    return base64.b64encode(mac(checked(subscriber_id)).digest()).decode("ascii")


def dotted(subscriber_id, seconds):
    return mac(f"{checked(subscriber_id)}.{seconds}").hexdigest()


def v2_subscriber(subscriber_id, seconds):
    return mac(f"v2:subscriber\n{PUBLIC_KEY}\n{seconds}\n{checked(subscriber_id)}").hexdigest()


def v2_traits(subscriber_id, seconds, *pairs):
    traits = dict(pair.split("=", 1) for pair in pairs)
    return mac(f"v2:subscriber\n{PUBLIC_KEY}\n{seconds}\n{checked(subscriber_id)}\n{digest(traits)}").hexdigest()


def v2_company(subscriber_id, company, seconds):
    return mac(f"v2:company\n{PUBLIC_KEY}\n{seconds}\n{checked(subscriber_id)}\n{checked(company)}").hexdigest()


FORMS = {
    "plain": plain,
    "base64": plain_base64,
    "dotted": dotted,
    "v2-subscriber": v2_subscriber,
    "v2-traits": v2_traits,
    "v2-company": v2_company,
}

if __name__ == "__main__":
    print(FORMS[sys.argv[1]](*sys.argv[2:]))
