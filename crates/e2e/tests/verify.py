"""Second verifier of an audit export: Python's standard library alone, nothing shared with the Rust one.

Written from RFC 6962 (tree), RFC 8032 (Ed25519) and C2SP signed-note and tlog-checkpoint. It says what `gk audit verify`
has to say: one line `KIND SEQ` of the first finding and exit 10, or `ok SIZE` and exit 0.

    verify.py EXPORT [--from-witness FILE]... [--key VERIFIERKEY] [--require-anchor]
"""
import argparse, base64, hashlib, json, re, struct, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
HEX, EPOCH = re.compile("[0-9a-f]{64}"), "gatekeeper/key-epoch v1"
D, I = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)


class Finding(Exception):
    """What is wrong first: its kind and the place in the log, if it has one."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text):
    octets = base64.b64decode(text, validate=True)
    if base64.b64encode(octets).decode() != text:
        raise ValueError(text)  # two texts for the same bytes
    return octets


# Ed25519, verification only. A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def unpack(octets):
    y, sign = int.from_bytes(octets, "little") & (2**255 - 1), octets[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * I % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def pack(point):
    inverse = pow(point[2], P - 2, P)
    return (point[1] * inverse % P | (point[0] * inverse % P & 1) << 255).to_bytes(32, "little")


BASE = unpack((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    point, s = unpack(key), int.from_bytes(signature[32:], "little")
    if len(key) != 32 or len(signature) != 64 or point is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    minus = (P - point[0], point[1], 1, P - point[3])
    return pack(add(times(s, BASE), times(k, minus))) == signature[:32]


class Key:
    """A verifier key: NAME+HASH+BASE64(0x01 || key). No other algorithm is known, so none can be downgraded to."""

    def __init__(self, text):
        self.name, self.hash, octets = text.split("+", 2)
        octets = unbase64(octets)
        self.id, self.key, self.text = bytes.fromhex(self.hash), octets[1:], text
        if octets[:1] != b"\x01" or self.id != sha256(self.name.encode(), b"\n", octets)[:4]:
            raise ValueError(text)


class Note:
    """A note: text, and signatures as (name, key id, signature); a text alone is one that nobody signed."""

    def __init__(self, text):
        end = text.rfind("\n\n") + 1
        self.text, lines = (text[:end], text[end + 1 :]) if end else (text, "")
        self.signatures = []
        for line in lines.removesuffix("\n").split("\n") if end else []:
            dash, name, octets = line.split(" ")
            octets = unbase64(octets)
            if dash != "\u2014" or not lines.endswith("\n") or not name or "+" in name or len(octets) < 5:
                raise ValueError(line)
            self.signatures.append((name, octets[:4], octets[4:]))

    def check(self, key, place=None):
        """The first signature that claims to be of this key decides."""
        for name, identity, signature in self.signatures:
            if (name, identity) == (key.name, key.id):
                if ed25519(key.key, self.text.encode(), signature):
                    return
                raise Finding("bad_signature", place)
        raise Finding("unknown_key", place)


class Checkpoint(Note):
    def __init__(self, text):
        super().__init__(text)
        self.origin, size, root, chain, epoch = self.text.removesuffix("\n").split("\n")
        self.size, self.root, self.chain = int(size), unbase64(root), chain.removeprefix("chain ")
        self.epoch = int(epoch.removeprefix("epoch "))
        one_way = f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\nchain {self.chain}\nepoch {self.epoch}\n"
        named = re.fullmatch("gatekeeper/[a-z0-9-]{1,64}", self.origin)
        if self.text != one_way or not named or not HEX.fullmatch(self.chain) or len(self.root) != 32 or self.size < 0 or self.epoch < 1:
            raise ValueError(text)


class Epoch(Note):
    def __init__(self, text, origin):
        super().__init__(text)
        title, self.origin, number, key, begins = self.text.removesuffix("\n").split("\n")
        if title == EPOCH and self.origin != origin:
            raise Finding("wrong_origin", None)
        self.number, self.key, self.begins = int(number), Key(key), int(begins)
        if self.text != f"{EPOCH}\n{origin}\n{self.number}\n{key}\n{self.begins}\n" or self.begins < 0:
            raise ValueError(text)


class Log:
    """The records, and head and root of the log at every size."""

    def __init__(self, leaves=()):
        self.heads, self.roots, self.stack = [sha256(b"gatekeeper/audit/v1")], [sha256()], []
        for leaf in leaves:
            self.append(leaf)

    def append(self, leaf):
        seq = len(self.heads)
        self.heads.append(sha256(b"\x02", self.heads[-1], struct.pack(">q", seq), leaf))
        self.stack.append((1, leaf))
        while len(self.stack) > 1 and self.stack[-1][0] == self.stack[-2][0]:
            (width, right), (_, left) = self.stack.pop(), self.stack.pop()
            self.stack.append((2 * width, sha256(b"\x01", left, right)))
        root = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            root = sha256(b"\x01", left, root)
        self.roots.append(root)

    def take(self, line):
        seq = len(self.heads)
        try:
            record = json.loads(line.decode())
            place, prev, link, event = record["seq"], record["prevHash"], record["hash"], record["event"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Finding("unreadable", seq) from None
        if type(place) is not int or type(prev) is not str or type(link) is not str:
            raise Finding("unreadable", seq)
        if place != seq:
            raise Finding("out_of_order", seq)
        if prev != self.heads[-1].hex():
            raise Finding("broken_link" if HEX.fullmatch(prev) else "unreadable", seq)
        if not HEX.fullmatch(link):
            raise Finding("unreadable", seq)
        leaf = sha256(b"\x00", event)
        if link != sha256(b"\x02", self.heads[-1], struct.pack(">q", seq), leaf).hex():
            raise Finding("altered", seq)
        self.append(leaf)

    def says(self, checkpoint):
        """What the log says to a checkpoint: True, False, or None where it does not reach it."""
        if checkpoint.size >= len(self.heads):
            return None
        return (self.roots[checkpoint.size], self.heads[checkpoint.size].hex()) == (checkpoint.root, checkpoint.chain)


class Trust:
    """Whom to believe: a pinned key, and the keys that witnesses saw."""

    def __init__(self, key):
        self.key, self.epochs, self.origin = key, [], None

    def open(self, sealed, learn=False):
        """The checkpoint of {"checkpoint": NOTE, "epochs": [NOTE]}, once everything about it is believed."""
        try:
            checkpoint = Checkpoint(sealed["checkpoint"])
        except ValueError:
            raise Finding("bad_signature", 0) from None
        if self.origin not in (None, checkpoint.origin):
            raise Finding("wrong_origin", None)
        if not checkpoint.signatures:
            raise Finding("downgraded", None)
        epochs = follow(checkpoint.origin, sealed["epochs"])
        if self.key and self.key not in [epoch.key.text for epoch in epochs]:
            same = self.key.startswith(checkpoint.origin + "+")
            raise Finding("unknown_key" if same else "wrong_origin", checkpoint.size if same else None)
        if any(known.text != found.text for known, found in zip(self.epochs, epochs)):
            raise Finding("unknown_key", checkpoint.size)
        if not 0 < checkpoint.epoch <= len(epochs):
            raise Finding("unknown_key", checkpoint.size)
        begins = [epoch.begins for epoch in epochs[checkpoint.epoch - 1 :]]
        if not begins[0] <= checkpoint.size or begins[1:] and begins[1] < checkpoint.size:
            raise Finding("unknown_key", checkpoint.size)
        checkpoint.check(epochs[checkpoint.epoch - 1].key, checkpoint.size)
        if learn:
            self.origin, self.epochs = checkpoint.origin, max(self.epochs, epochs, key=len)
        return checkpoint

    def open_own(self, sealed):
        if sealed is None and (self.key or self.epochs):
            raise Finding("downgraded", None)
        return sealed and self.open(sealed)


def follow(origin, notes):
    """The epochs; each key is introduced by the one before it and by itself."""
    epochs, begins = [], 0
    for text in notes:
        try:
            epoch = Epoch(text, origin)
        except ValueError:
            raise Finding("unknown_key", 0) from None
        if epoch.number != len(epochs) + 1 or epoch.begins < begins or epoch.key.name != origin:
            raise Finding("unknown_key", epoch.begins)
        for signer in epochs[-1:] + [epoch]:
            epoch.check(signer.key, epoch.begins)
        epochs, begins = epochs + [epoch], epoch.begins
    return epochs


def read_sealed(line):
    """The line as a signed checkpoint with its keys, or None: then it is a record like any other."""
    try:
        said = json.loads(line.decode())
        fits = set(said) == {"checkpoint", "epochs"} and type(said["checkpoint"]) is str and type(said["epochs"]) is list
        return said if fits and all(type(note) is str for note in said["epochs"]) else None
    except (ValueError, TypeError):
        return None


def verify(export, witnesses, key, require_anchor):
    trust, own, deferred, broken = Trust(key), None, None, None
    known = [trust.open(sealed, learn=True) for sealed in witnesses]
    with open(export, "rb") as file:
        lines = file.readlines()
    said = [sealed for sealed in map(read_sealed, lines) if sealed]  # the last is what the log says of itself
    lines, marks = [line for line in lines if not read_sealed(line)], []
    for sealed in said[:-1]:
        try:
            marks.append(trust.open(sealed, learn=True))
        except Finding as finding:
            deferred = deferred or finding
    try:
        own = trust.open_own(said[-1] if said else None)
    except Finding as finding:
        deferred = deferred or finding
    log = Log()
    try:
        for line in lines:
            log.take(line)
    except Finding as finding:
        broken = finding
    size, anchors = len(log.heads) - 1, known + marks + [own] * bool(own)
    against = [anchor.size for anchor in anchors if log.says(anchor) is False]
    if against:
        raise Finding("forked" if own and log.says(own) and not broken else "rewritten", min(against))
    if broken or any(anchor.size > size for anchor in anchors):
        raise broken or Finding("cut", size + 1)
    if deferred or (require_anchor and not known and not key):
        raise deferred or Finding("no_anchor", None)
    return size


def golden(path):
    """Published vectors: RFC 8032, Certificate Transparency's tree, notes of golang.org/x/mod and c2sp.org."""
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    for key, message, signature in known["ed25519"]:
        key, message, signature = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
        assert ed25519(key, message, signature) and not ed25519(key, message + b"x", signature)
    for key, note in known["notes"]:
        Note(note).check(Key(key))
    log = Log(sha256(b"\x00", bytes.fromhex(leaf)) for leaf in known["leaves"])
    assert [root.hex() for root in log.roots] == known["roots"]
    return len(log.roots)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("export")
    parser.add_argument("--from-witness", action="append", default=[])
    parser.add_argument("--key")
    parser.add_argument("--require-anchor", action="store_true")
    parser.add_argument("--golden", action="store_true", help="EXPORT is a file of golden vectors")
    asked = parser.parse_args()
    try:
        if asked.golden:
            print("ok", golden(asked.export))
        else:
            witnesses = [json.load(open(path, encoding="utf-8")) for path in asked.from_witness]
            print("ok", verify(asked.export, witnesses, asked.key, asked.require_anchor))
    except Finding as finding:
        kind, seq = finding.args
        print(kind, "-" if seq is None else seq)
        sys.exit(10)


if __name__ == "__main__":
    main()
