"""Performs a flow file's requests in the clear, by itself: Python's TLS, HTTP, JSON and XML readers, the
`cryptography` package for JWE and botocore's SigV4. It shares no code with Flexroom, so what it does at
the sandbox is what a joint run has to do there (docs/spec/operations.md (a) to (d)). One holder has all
secrets here: births, journal, agreement and waiting for held requests are not its business."""
import base64
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import secrets
import socket
import ssl
import struct
import time
import tomllib
import urllib.parse
import xml.etree.ElementTree as ElementTree

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALPHABETS = {
    "hex": "0123456789abcdef",
    "digits": "0123456789",
    "base32": "abcdefghijklmnopqrstuvwxyz234567",
    "base64url": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
}
CLASSES = {
    "hex": r"[0-9a-fA-F]",
    "digits": r"[0-9]",
    "base32": r"[A-Za-z2-7]",
    "base64": r"[A-Za-z0-9+/=]",
    "base64url": r"[A-Za-z0-9_-]",
    "urlsafe": r"[A-Za-z0-9._~-]",
    "cookie": r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]",
    "jsonsafe": r'[\x20\x21\x23-\x5b\x5d-\x7e]',
    "xmltext": r"[\x20-\x25\x27-\x3b=\x3f-\x7e]",
    "shellurl": r"[A-Za-z0-9._~/?=&%+:-]",
    "digits-and-spaces": r"[0-9 ]",
    "raw": r"[\x00-\xff]",
}
SLOT = re.compile(r"\{\{([^{}]+)\}\}")
SELECTOR = re.compile(r"(json-number|json|xml) (item)?(/\S*?)(?: after \"((?:[^\"\\]|\\.)+)\")?")


class Stopped(Exception):
    """The flow ends here: the step, and the event that has no rule."""

    def __init__(self, step, event):
        super().__init__(f"{step}: {event}")
        self.step, self.event = step, event


class Failure(Exception):
    """A selection that failed, by its name."""


class Unknown(Exception):
    """Sent, and no whole answer came."""


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jwe(text, key, alg, enc):
    number = lambda name: int.from_bytes(from_base64url(key[name]), "big")
    public = rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
    content_key, iv = secrets.token_bytes(32 if enc == "A256GCM" else 16), secrets.token_bytes(12)
    digest = hashes.SHA256() if alg == "RSA-OAEP-256" else hashes.SHA1()
    wrapped = public.encrypt(content_key, padding.OAEP(padding.MGF1(digest), digest, None))
    header = base64url(json.dumps({"alg": alg, "enc": enc, "kid": key["kid"]}).encode())
    sealed = AESGCM(content_key).encrypt(iv, text.encode(), header.encode())
    return ".".join([header, base64url(wrapped), base64url(iv), base64url(sealed[:-16]), base64url(sealed[-16:])])


def totp(seed, ahead=0):
    key = base64.b32decode(seed.upper() + "=" * (-len(seed) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + ahead), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7fffffff) % 10**6:06}"


def client_metadata():
    """XXTEA over little-endian words, the length behind the text (tls-in-mpc.md 5.9)."""
    text = json.dumps({"client": "flexroom", "nonce": secrets.token_hex(16)}).encode()
    words = lambda data: list(struct.unpack(f"<{len(data) // 4}I", data))
    v, key = words(text + bytes(-len(text) % 4)) + [len(text)], words(b"flexroom sandbox")
    n, total, z = len(v), 0, v[-1]
    for _ in range(6 + 52 // n):
        total = total + 0x9E3779B9 & 0xFFFFFFFF
        for p in range(n):
            y = v[(p + 1) % n]
            mixed = ((z >> 5 ^ y << 2) + (y >> 3 ^ z << 4)) ^ ((total ^ y) + (key[p & 3 ^ total >> 2 & 3] ^ z))
            z = v[p] = v[p] + mixed & 0xFFFFFFFF
    return base64.b64encode(struct.pack(f"<{n}I", *v)).decode()


class Cloud:
    """A running sandbox, by its state folder."""

    def __init__(self, state):
        self.state = pathlib.Path(state)
        self.port = json.loads((self.state / "endpoints.json").read_text())["port"]
        self.tls = ssl.create_default_context(cafile=str(self.state / "ca.pem"))

    def exchange(self, host, method, target, headers, body):
        """(status, header fields, body). Unknown: the connection ended before the answer did."""
        lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers]
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as raw:
                with self.tls.wrap_socket(raw, server_hostname=host) as sock:
                    sock.sendall("\r\n".join(lines + ["", ""]).encode() + body)
                    answer = http.client.HTTPResponse(sock, method=method)
                    answer.begin()
                    return answer.status, answer.msg, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unknown(str(error)) from error

    def admin(self, method, path, body=None):
        token = (self.state / "admin-token").read_text().strip()
        data = b"" if body is None else json.dumps(body).encode()
        headers = [("Host", "admin.flexroom.example"), ("Authorization", "Bearer " + token), ("Connection", "close")]
        if data:
            headers += [("Content-Type", "application/json"), ("Content-Length", len(data))]
        status, _, answer = self.exchange("admin.flexroom.example", method, path, headers, data)
        assert status in (200, 204), (status, answer)
        return json.loads(answer) if answer else None

    def seen(self, what, about=None):
        return [one["value"] for one in self.admin("GET", "/seen")
                if one["what"] == what and about in (None, one["about"])]


def unique_object(pairs):
    """Keeps members that stand there twice apart from those that do not."""
    out = {}
    for name, value in pairs:
        out.setdefault(name, []).append(value)
    return out


def as_sent(body):
    """JSON whose texts are what stands between the quotes, escapes and all."""
    try:
        text = body.decode()
        raw = re.sub(r'"((?:[^"\\]|\\.)*)"', lambda found: json.dumps(found.group(1)), text)
        json.loads(text)
        return json.loads(raw, object_pairs_hook=unique_object)
    except ValueError as error:
        raise Failure("not well formed") from error


def walk(value, path):
    """The member at that path of names, or of numbers in arrays; raises Failure."""
    for name in path:
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
            continue
        if not isinstance(value, dict) or name not in value:
            raise Failure("not found")
        if len(value[name]) != 1:
            raise Failure("twice")
        value = value[name][0]
    return value


class Answer:
    """What came, and what the step's selectors find in it."""

    def __init__(self, step, status, fields, body, resolve):
        self.step, self.status, self.fields, self.body, self.resolve = step, status, fields, body, resolve

    def checked_body(self):
        kind = (self.fields.get("content-type") or "").split(";")[0].strip()
        if self.fields.get("content-encoding") not in (None, "identity"):
            raise Failure("content-encoding")
        # A refusal that is read for its code may say none, as EC2's do (tls-in-mpc.md 5.6).
        if kind != self.step.get("type", "application/json") and (kind or self.status in self.step.get("status", [200])):
            raise Failure("other type")
        if len(self.body) > self.step.get("body_max", 4096):
            raise Failure("too long")
        return self.body

    def cookie(self, name, host):
        """The last line for that name, path / and this host (RFC 6265)."""
        found = None
        for line in self.fields.get_all("set-cookie") or []:
            pair, *attributes = [part.strip() for part in line.split(";")]
            attributes = {part.split("=")[0].lower(): part.partition("=")[2] for part in attributes}
            if pair.split("=")[0] == name and attributes.get("path", "/") == "/" and \
                    attributes.get("domain", host) == host:
                found = pair.partition("=")[2], attributes
        if found is None:
            raise Failure("not found")
        value, attributes = found
        if value == "" or attributes.get("max-age", "").startswith(("0", "-")):
            raise Failure("deleted")
        return value

    def header(self, name, pattern):
        before, after = pattern.split("{{}}")
        values = self.fields.get_all(name) or []
        if len(values) != 1:
            raise Failure("twice" if values else "not found")
        if not (values[0].startswith(before) and values[0].endswith(after)):
            raise Failure("not found")
        return values[0][len(before):len(values[0]) - len(after)]

    def item(self):
        """The element that the step means, or None."""
        path, tests = re.fullmatch(r"(.+?)/((?:\[[^\]]*\])+)", self.step["item"]).groups()
        array = walk(as_sent(self.checked_body()), path.split("/")[1:])
        if not isinstance(array, list):
            raise Failure("other type")
        fits = [one for one in array if all(self.passes(one, test) for test in re.findall(r"\[([^\]]*)\]", tests))]
        if len(fits) > 1 and self.step.get("pick", "only") == "only":
            raise Failure("twice")
        return fits[0] if fits else None

    def passes(self, element, test):
        path, negated, wanted = re.fullmatch(r"([^=!]+)(!?)=(.*)", test).groups()
        try:
            value = walk(element, path.split("/"))
        except Failure:
            if negated:
                raise
            return False
        if not wanted.startswith('"'):
            return type(value) is type(json.loads(wanted)) and value == json.loads(wanted)
        if negated and (not isinstance(value, str) or "\\" in value):
            raise Failure("escaped text" if isinstance(value, str) else "other type")
        if not isinstance(value, str):
            return False
        slot = SLOT.fullmatch(wanted[1:-1])
        texts = self.resolve.versions(slot.group(1)) if slot else [wanted[1:-1]]
        return value not in texts if negated else value in texts

    def select(self, at, host, cls):
        """The text of a selector, of that class; raises Failure."""
        if at.startswith("cookie "):
            return self.cookie(at.split()[1], host)
        if at.startswith("header "):
            name, pattern = at[len("header "):].split(": ", 1)
            return self.header(name, pattern)
        if at.startswith("pattern "):
            return self.pattern(at)
        kind, item, path, literal = SELECTOR.fullmatch(at).groups()
        value = self.element(path) if kind == "xml" else self.member(item, path)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind == "json-number" and number:
            return json.dumps(value)
        if not isinstance(value, str):
            raise Failure("other type")
        if kind == "json" and "\\" in value:
            if not literal or "\\u" in value:
                raise Failure("escaped text")
            value, literal = json.loads(f'"{value}"'), json.loads(f'"{literal}"')
        return self.behind(value, literal, cls) if literal else value

    def lacks_a_place(self, host):
        """Of an open answer without `item`: some `open` has no place in it."""
        for wanted in self.step.get("open", {}).values():
            try:
                self.select(wanted["at"], host, wanted["class"])
            except Failure as error:
                if str(error) == "not found":
                    return True
        return False

    def member(self, item, path):
        return walk(self.item() if item else as_sent(self.checked_body()), path.split("/")[1:])

    def element(self, path):
        try:
            node = ElementTree.fromstring(self.checked_body())
        except ElementTree.ParseError as error:
            raise Failure("not well formed") from error
        plain = lambda tag: tag.split("}")[-1]
        first, *rest = path.split("/")[1:]
        if plain(node.tag) != first:
            raise Failure("not found")
        for name in rest:
            below = [one for one in node if plain(one.tag) == name]
            if len(below) != 1:
                raise Failure("twice" if below else "not found")
            node = below[0]
        if len(node):
            raise Failure("other type")
        return node.text or ""

    @staticmethod
    def behind(text, literal, cls):
        if len(text) > 511:
            raise Failure("too long")
        if text.count(literal) != 1:
            raise Failure("twice" if literal in text else "not found")
        rest = text.split(literal)[1]
        return re.match(CLASSES[cls] + "*", rest).group()

    def pattern(self, at):
        literal, cls, term = re.fullmatch(r'pattern "([^"]+)" ([a-z0-9-]+) "([^"]+)"', at).groups()
        text = self.checked_body().decode("latin-1")
        found = re.findall(re.escape(literal) + "(" + CLASSES[cls] + "+)" + re.escape(term), text)
        if len(found) != 1:
            raise Failure("twice" if found else "not found")
        return found[0].replace(" ", "")

    def absent(self, at, host):
        if at.startswith("pattern "):
            return at.split('"')[1].encode() not in self.checked_body()
        kind, item, path, literal = SELECTOR.fullmatch(at).groups()
        if literal:
            value = self.member(item, path)
            if not isinstance(value, str):
                raise Failure("other type")
            if len(value) > 511:
                raise Failure("too long")
            return literal not in value
        try:
            self.select(at, host, "raw")
            return False
        except Failure as error:
            if str(error) == "not found":
                return True
            raise

    def listed_code(self):
        """Which entry of the step's list a refusal names, or "other"."""
        code = self.step.get("code")
        if code is None or self.status == 429 or self.status >= 500:
            return None
        try:
            value = self.select(code["at"], "", "raw")
        except Failure:
            return "other"
        return value if value in code["one_of"] else "other"


class Flow:
    """One flow file at one cloud. `store`: the room's names, below the prefix; it is changed. `ask(step,
    names)` answers a question, None: nobody did. `pace`: what pauses are multiplied with."""

    def __init__(self, cloud, file, store, arguments=None, inputs=None, ask=None, room="room", pace=0.02):
        self.cloud, self.store, self.ask, self.pace = cloud, store, ask, pace
        self.folder = pathlib.Path(file).parent
        self.file = tomllib.loads(pathlib.Path(file).read_text())
        self.flow = self.file["flow"]
        defaults = {name: one["default"] for name, one in self.file.get("argument", {}).items() if "default" in one}
        self.names = defaults | (arguments or {})
        self.inputs = inputs or {}
        self.run = {}
        self.unproved = {}
        self.refusals = {}
        self.trace = []
        self.builtin = {
            "run": "".join(secrets.choice(ALPHABETS["base32"]) for _ in range(26)),
            "room": "".join(ALPHABETS["base32"][b & 31] for b in hashlib.sha256(room.encode()).digest()[:26]),
        }
        self.bear()

    def bear(self):
        for name, born in self.file.get("born", {}).items():
            if self.full(name) in self.store:
                raise ValueError(f"{self.full(name)} is born already")
            if "list" in born:
                value = secrets.choice((self.folder / born["list"]).read_text().split("\n")[:-1])
            else:
                value = "".join(secrets.choice(ALPHABETS[born["alphabet"]]) for _ in range(born["length"]))
            self.store[self.full(name)] = value + born.get("suffix", "")

    def full(self, name):
        return self.flow["prefix"] + "/" + name

    def versions(self, name):
        """What stands under that name: the current value and the one that this run has not proved."""
        values = [self.run.get(name), self.unproved.get(name), self.store.get(self.full(name)), self.names.get(name)]
        return [value for value in values if value is not None]

    def value(self, name, step):
        if name == "client-metadata":
            return client_metadata()
        if name == "idempotency":
            text = f"{self.builtin['run']} {step} {self.refusals.get(step, 0)}"
            return hashlib.sha256(text.encode()).hexdigest()[:32]
        if name in self.builtin:
            return self.builtin[name]
        if name in self.file.get("input", {}):
            giver = SLOT.sub(lambda slot: self.names[slot.group(1)], self.file["input"][name]["from"])
            return self.store[giver[5:] + "/card-number"] if giver.startswith("room:") else self.inputs[name]
        if name in self.unproved:
            return self.unproved[name]
        values = self.versions(name)
        if not values:
            raise KeyError(f"{step} needs {name}")
        return values[0]

    def slot(self, text, step):
        name, _, function = text.partition(" as ")
        value = self.value(name, step)
        if function.startswith("totp"):
            return totp(value, 1 if function == "totp next" else 0)
        if function.startswith("jwe "):
            _, alg, enc, _, key = function.split()
            return jwe(value, {part: self.value(f"{key}.{part}", step) for part in ("n", "e", "kid")}, alg, enc)
        return value

    def filled(self, text, step, place):
        def encoded(slot):
            value = self.slot(slot.group(1), step)
            if place in ("form", "query"):
                return urllib.parse.quote(value, safe="")
            if place == "path":
                assert re.fullmatch(r"(?!\.\.?$)[A-Za-z0-9._~-]+", value), value
                return value
            if place == "json":
                return json.dumps(value)[1:-1]
            assert re.fullmatch(r"[\x21-\x7e]*", value), value
            return value
        return SLOT.sub(encoded, text)

    def request(self, step):
        name = step["name"]
        head, _, body = step["request"].partition("\n\n")
        line, *lines = head.rstrip("\n").split("\n")
        method, target, _ = line.split(" ")
        path, mark, query = target.partition("?")
        target = self.filled(path, name, "path") + mark + self.filled(query, name, "query")
        headers = [tuple(self.filled(one, name, "header").split(": ", 1)) for one in lines]
        host = dict(headers)["Host"]
        assert any(host == known or host.endswith("." + known) for known in self.flow["hosts"]), host
        kind = dict(headers).get("Content-Type", "")
        body = self.filled(body.rstrip("\n"), name, "form" if kind.endswith("urlencoded") else "json").encode()
        if "sign" in step:
            headers += self.signature(step, method, host, target, headers, body)
        headers += [("Accept-Encoding", "identity"), ("Connection", "close")]
        if body:
            headers.append(("Content-Length", len(body)))
        return host, method, target, headers, body

    def signature(self, step, method, host, target, headers, body):
        service, region = step["sign"].split()
        key = self.flow["key"]
        credentials = Credentials(self.value(key + "/id", step["name"]), self.value(key + "/secret", step["name"]))
        signed = AWSRequest(method, f"https://{host}{target}", dict(headers), body)
        (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region).add_auth(signed)
        return [(name, value) for name, value in signed.headers.items() if name not in dict(headers)]

    def perform(self, step):
        """One request; its event. What the answer holds is taken only if all of it is as the step says."""
        if "ask" in step:
            answer = self.ask(step["name"], self) if self.ask else None
            if answer is None:
                return "none"
            self.run[next(iter(step["open"]))] = answer
            return "ok"
        host, *request = self.request(step)
        for attempt in range(6):
            status, fields, body = self.cloud.exchange(host, *request)
            if status != 429 and status < 500 or attempt == 5:
                break
            self.pause(30)
        if status == 408 or status >= 500:
            raise Unknown(str(status))
        answer = Answer(step, status, fields, body, self)
        if status not in step.get("status", [200]):
            self.refusals[step["name"]] = self.refusals.get(step["name"], 0) + 1
            code = answer.listed_code()
            return f"{status} {code}" if code else str(status)
        if "item" in step and answer.item() is None:
            return "none"
        if "item" not in step and "none" in step.get("on", {}) and answer.lacks_a_place(host):
            return "none"
        self.take(step, answer, host)
        return "ok"

    def take(self, step, answer, host):
        found = {}
        for name, wanted in [*step.get("keep", {}).items(), *step.get("open", {}).items()]:
            try:
                value = answer.select(wanted["at"], host, wanted["class"])
            except Failure as error:
                if wanted.get("missing") == "same" and str(error) == "not found":
                    continue
                raise
            length = wanted.get("length", [0, wanted.get("max")])
            least, most = (length, length) if isinstance(length, int) else length
            if not least <= len(value) <= most:
                raise Failure("too long" if len(value) > most else "too short")
            if not re.fullmatch(CLASSES[wanted["class"]] + "*", value):
                raise Failure("outside class")
            found[name] = value
        for name, wanted in step.get("assert", {}).items():
            if wanted.get("absent"):
                right = answer.absent(wanted["at"], host)
            else:
                text = SLOT.sub(lambda slot: self.value(slot.group(1), step["name"]), wanted["equals"])
                right = answer.select(wanted["at"], host, "raw") == text
            if not right:
                raise Failure("assert " + name)
        key = self.flow.get("key", "") + "/"
        proves = any("proves" in one for one in self.file["step"])
        for name, value in found.items():
            if name.startswith("run/"):
                self.run[name] = value
            elif proves and name.startswith(key):
                self.unproved[name] = value
            else:
                self.store[self.full(name)] = value
        if "proves" in step:
            self.store.update({self.full(name): value for name, value in self.unproved.items()})
            self.unproved.clear()

    def pause(self, seconds):
        time.sleep(seconds * self.pace)

    def event_of(self, step):
        try:
            return self.perform(step)
        except Unknown:
            return "unknown"
        except Failure as error:
            raise Stopped(step["name"], "failure " + str(error)) from error

    @staticmethod
    def rule(step, event):
        """(the event as the file calls it, its rule), or the default."""
        rules = step.get("on", {})
        status = event.split(" ")[0]
        for name in (event, status, status[0] + "xx" if status.isdigit() else status):
            if name in rules:
                return name, rules[name]
        if event == "ok":
            return event, "next"
        if event == "unknown" and step.get("request", "").startswith("GET "):
            return event, "again"
        return event, "stop"

    def go(self):
        """Runs to the end; raises Stopped. The trace has (step, event) of every step done."""
        lines = {"": self.file["step"], **self.file.get("branch", {})}
        where = {one["name"]: (line, at) for line, steps in lines.items() for at, one in enumerate(steps)}
        followed, line, at = {}, "", 0
        while at < len(lines[line]):
            step = lines[line][at]
            event = self.event_of(step)
            self.trace.append((step["name"], event))
            name, rule = self.rule(step, event)
            target, _, most = rule.partition(" x")
            if target not in ("next", "stop") and not target.startswith("after "):
                count = followed[step["name"], name] = followed.get((step["name"], name), 0) + 1
                if count > int(most or 2):
                    name, target = self.rule(step, "exhausted")
                    target, _, most = target.partition(" x")
                    count = followed[step["name"], name] = followed.get((step["name"], name), 0) + 1
                    if count > int(most or 2):
                        target = "stop"
            if target == "stop":
                raise Stopped(step["name"], event)
            if target == "again" or target.startswith("back "):
                self.pause(step.get("every_seconds", 5))
            if target == "next":
                at += 1
            elif target.startswith("branch "):
                line, at = target[len("branch "):], 0
            elif target != "again":
                line, at = where[target.split(" ")[1]]
                at += target.startswith("after ")
            if line and at >= len(lines[line]):
                raise Stopped(step["name"], "the branch leads nowhere")
        return self.trace
