"""Second verifier of an audit export: Python's standard library alone, nothing shared with the Rust one.

Written from RFC 6962 (tree), RFC 8032 (Ed25519) and C2SP signed-note and tlog-checkpoint. It says what `gk audit verify`
has to say: one line `KIND SEQ` of the first finding and exit 10, or `ok SIZE` and exit 0.

    verify.py EXPORT [--from-witness FILE]... [--key VERIFIERKEY] [--require-anchor]
"""
import argparse, base64, hashlib, json, struct, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, I = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)


class Finding(Exception):
    """What is wrong first: its kind and the place in the log, if it has one."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


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
        octets = base64.b64decode(octets, validate=True)
        self.id, self.key, self.text = bytes.fromhex(self.hash), octets[1:], text
        if octets[:1] != b"\x01" or self.id != sha256(self.name.encode(), b"\n", octets)[:4]:
            raise ValueError(text)


class Note:
    """A signed note: text, and signatures as (name, key id, signature)."""

    def __init__(self, text):
        self.text, lines = text[: text.rindex("\n\n") + 1], text[text.rindex("\n\n") + 2 :]
        self.signatures = []
        for line in lines.removesuffix("\n").split("\n"):
            dash, name, octets = line.split(" ")
            octets = base64.b64decode(octets, validate=True)
            if dash != "\u2014" or not lines.endswith("\n"):
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
        self.size, self.root, self.chain = int(size), base64.b64decode(root, validate=True), chain.removeprefix("chain ")
        self.epoch = int(epoch.removeprefix("epoch "))


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
            record = json.loads(line)
            place, prev, link, event = record["seq"], record["prevHash"], record["hash"], record["event"].encode()
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Finding("unreadable", seq) from None
        if place != seq:
            raise Finding("out_of_order", seq)
        if prev != self.heads[-1].hex():
            raise Finding("broken_link", seq)
        self.append(sha256(b"\x00", event))
        if link != self.heads[-1].hex():
            raise Finding("altered", seq)

    def holds(self, checkpoint, otherwise):
        size = checkpoint.size
        if size >= len(self.heads):
            raise Finding("cut", len(self.heads))
        if (self.roots[size], self.heads[size].hex()) != (checkpoint.root, checkpoint.chain):
            raise Finding(otherwise, size)


class Anchor:
    """What stands outside the log: the newest checkpoint and every key epoch, {"checkpoint": NOTE, "epochs": [NOTE]}."""

    def __init__(self, said):
        try:
            self.checkpoint = Checkpoint(said["checkpoint"]) if said.get("checkpoint") else None
            self.epochs = [Note(text) for text in said.get("epochs") or []]
            rows = [note.text.split("\n") for note in self.epochs]
            if any(row[0] != "gatekeeper/key-epoch v1" or row[5:] != [""] for row in rows):
                raise ValueError("not a key epoch")
            self.keys, self.begins = [Key(row[3]) for row in rows], [int(row[4]) for row in rows]
            self.origins = {row[1] for row in rows} | ({self.checkpoint.origin} if self.checkpoint else set())
            if [row[2] for row in rows] != [str(n + 1) for n in range(len(rows))]:
                raise Finding("unknown_key", None)
        except (ValueError, KeyError, IndexError):
            raise Finding("bad_signature", None) from None

    def check_keys(self, epochs=(), key=None):
        """From the oldest epoch that is known on, each is signed by the key before it and by its own."""
        known = [epoch - 1 for epoch in epochs] + [n for n, own in enumerate(self.keys) if own.text == key]
        first = min(known, default=-1) + 1
        for n in range(first, len(self.keys)):
            for signer in sorted({max(n - 1, 0), n}):
                self.epochs[n].check(self.keys[signer], self.begins[n])

    def check_signature(self, checkpoint):
        """By the key of its epoch, at a size at which that epoch was in force."""
        epoch = checkpoint.epoch
        ends = self.begins[epoch] if epoch < len(self.begins) else checkpoint.size
        if not 0 < epoch <= len(self.keys) or not self.begins[epoch - 1] <= checkpoint.size <= ends:
            raise Finding("unknown_key", checkpoint.size)
        checkpoint.check(self.keys[epoch - 1], checkpoint.size)


def read_export(path):
    log, anchor = Log(), Anchor({})
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if line.startswith('{"checkpoint":'):
                anchor = Anchor(json.loads(line))
            else:
                log.take(line)
    return log, anchor


def read_witness(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return Checkpoint(text if not text.startswith("{") else json.loads(text)["checkpoint"])


def stands(log, anchor):
    """Whether the export's own checkpoint is well signed and says what the records say."""
    try:
        anchor.check_keys()
        anchor.check_signature(anchor.checkpoint)
        log.holds(anchor.checkpoint, "rewritten")
    except (Finding, AttributeError):
        return False
    return True


def verify(export, witnesses, key, require_anchor):
    log, anchor = read_export(export)
    size, newest = len(log.heads) - 1, anchor.checkpoint
    if anchor.origins and len(anchor.origins | {witness.origin for witness in witnesses}) > 1:
        raise Finding("wrong_origin", None)
    for witness in sorted(witnesses, key=lambda witness: witness.size):
        log.holds(witness, "forked" if stands(log, anchor) else "rewritten")
    if newest is None:
        if witnesses or key or require_anchor:
            raise Finding("downgraded" if witnesses or key else "no_anchor", None)
        return size
    if key and key not in [known.text for known in anchor.keys]:
        raise Finding("unknown_key", None)
    for witness in witnesses:
        anchor.check_signature(witness)
    anchor.check_keys([witness.epoch for witness in witnesses], key)
    anchor.check_signature(newest)
    log.holds(newest, "rewritten")
    if require_anchor and not witnesses and not key:
        raise Finding("no_anchor", None)
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
            witnesses = [read_witness(path) for path in asked.from_witness]
            print("ok", verify(asked.export, witnesses, asked.key, asked.require_anchor))
    except Finding as finding:
        kind, seq = finding.args
        print(kind, "-" if seq is None else seq)
        sys.exit(10)


if __name__ == "__main__":
    main()
