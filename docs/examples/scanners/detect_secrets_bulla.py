"""A plugin for detect-secrets that finds the API keys of bulla, of every realm.

    detect-secrets scan --all-files --plugin detect_secrets_bulla.py FOLDER

It computes the checksum that every key ends with (docs/FORMAT.md), so its reports are keys, except for one accident in four
thousand million. Whether the key is genuine, and still good, only `bulla verify` tells.
"""

import re
import zlib
from typing import Generator

from detect_secrets.plugins.base import RegexBasedDetector

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum(text: str) -> str:
    value, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = DIGITS[digit] + digits
    return digits


class BullaApiKeyDetector(RegexBasedDetector):
    """Scans for API keys of bulla."""

    secret_type = "bulla API key"

    # What may be the end of a realm, and what follows it: with a secret half, and without. A realm may begin anywhere before
    # that, as where `\\n` stands before a key; the checksum tells.
    denylist = [
        re.compile(r"(?<=[0-9a-z])_[0-9A-Za-z]{77,424}_[0-9A-Za-z]{50}(?![0-9A-Za-z])"),
        re.compile(r"(?<=[0-9a-z])_[0-9A-Za-z]{83,430}(?![0-9A-Za-z])"),
    ]
    realm = re.compile(r"[a-z][0-9a-z]*(?:_[0-9a-z]+)*")

    def analyze_string(self, string: str) -> Generator[str, None, None]:
        for expression in self.denylist:
            for found in expression.finditer(string):
                for start in range(max(0, found.start() - 24), found.start() - 1):
                    key = string[start : found.end()]
                    if self.realm.fullmatch(string, start, found.start()) and checksum(key[:-6]) == key[-6:]:
                        yield key
                        break
