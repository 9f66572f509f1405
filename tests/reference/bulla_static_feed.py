"""A follower of the feed's static form, written from docs/FEED.md; the messages are read by bulla_feed.py.

    bulla_static_feed.py --keyring-id HEX --public-key BASE64 [--realm R] HEAD

HEAD is the address of the head object, or its path. It reads files until it has everything, and prints the state as one
JSON object with the number of message files that it read. A message that is refused adds `"refused": REASON` and exits with 1; a file
that is missing or broken exits with 2.
"""
import argparse
import base64
import hashlib
import json
import re
import sys
import time
import urllib.request

from bulla_feed import MAX_BYTES, SKEW, Follower, Refused, read_message, require

MAX_HEAD = 1 << 20
NUMBER = r"(0|[1-9][0-9]*)"
FILE = re.compile(rf"{NUMBER}-{NUMBER}-{NUMBER}-([0-9a-f]{{32}})")
BASE = re.compile(rf"base-{NUMBER}-{NUMBER}-([0-9a-f]{{32}})")


class Unusable(Exception):
    pass


class File:
    """A message file, or a base."""

    def __init__(self, name):
        file, base = FILE.fullmatch(name), BASE.fullmatch(name)
        if not (file or base):
            raise Unusable(f"{name!r} is no name")
        after, seq, size, self.hash = file.groups() if file else ("0", *base.groups())
        self.name, self.after, self.seq, self.size = name, int(after), int(seq), int(size)
        if self.size > MAX_BYTES or self.after > self.seq:
            raise Unusable(f"{name!r} is no name")


class Files:
    def __init__(self, head):
        self.folder, self.read = head.removesuffix("head"), 0

    def get(self, name, most):
        where = self.folder + name
        opened = urllib.request.urlopen(where, timeout=60) if "://" in where else open(where, "rb")
        with opened as file:
            return file.read(most + 1)

    def file(self, file):
        content = self.get("files/" + file.name, file.size)
        if len(content) != file.size or hashlib.sha256(content).hexdigest()[:32] != file.hash:
            raise Unusable(f"{file.name} was cut off or altered")
        return content


def chain(names):
    files = [File(name) for name in names]
    if any(one.seq != other.after for one, other in zip(files, files[1:])):
        raise Unusable("files leave something out")
    return files


def read_head_object(content):
    line, _, newest = content.partition(b"\n")
    fields = json.loads(line)
    if fields["bulla"] != "feed-static/1":
        raise Unusable("another format")
    return chain(fields.get("files", [])), File(fields["base"]) if "base" in fields else None, newest


def catch_up(follower, part, newest, now):
    """Takes in a part of what is behind the follower's place, which may be old, and may begin before it."""
    (head, events), (last, _) = (read_message(one, follower.keyring_id, follower.public_key) for one in (part, newest))
    require(follower.realm == last.get("realm") == head.get("realm"), "other_realm")
    require(follower.log_id in (None, last["log_id"]) and head["log_id"] == last["log_id"], "other_log")
    ahead = follower.this_update > now + SKEW
    require(ahead or last["this_update"] + SKEW >= follower.this_update, "older")
    require(last["this_update"] <= now + SKEW, "future")
    require(head["after"] <= follower.seq <= head["seq"] <= last["after"], "not_next")
    before = follower.seq
    follower.log_id, follower.seq, follower.end = last["log_id"], head["seq"], max(follower.end, last["head"])
    for event in events:
        if event["seq"] > before:
            follower.take_in(event)
            follower.log.take_in(event)
    if follower.is_complete():
        for api_key_id in follower.resumed:
            follower.suspended.pop(api_key_id, None)
        follower.resumed = set()
    for one in (head, last):
        follower.note_versions(one)


def follow(follower, files, now):
    names, base, newest = read_head_object(files.get("head", MAX_HEAD))
    end = read_message(newest, follower.keyring_id, follower.public_key)[0]["after"]
    while follower.seq < end:
        def covering(all):
            return next((file for file in all if file.after <= follower.seq < file.seq), None)

        file = covering(names)
        if file is None and base is not None:
            file = covering(chain(files.file(base).decode().split()))
        if file is None:
            raise Unusable(f"no file goes on from {follower.seq}")
        catch_up(follower, files.file(file), newest, now)
        files.read += 1
    follower.apply(newest, now)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keyring-id", type=bytes.fromhex, required=True)
    options.add_argument("--public-key", type=lambda text: base64.b64decode(text, validate=True), required=True)
    options.add_argument("--realm")
    options.add_argument("head")
    chosen = options.parse_args()
    follower, files, refused = Follower(chosen.keyring_id, chosen.public_key, chosen.realm), Files(chosen.head), {}
    try:
        follow(follower, files, int(time.time()))
    except Refused as error:
        refused = {"refused": str(error)}
    except (OSError, ValueError, KeyError, Unusable) as error:
        print(f"bulla_static_feed.py: {error!r}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(follower.state() | {"files": files.read} | refused))
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
