"""The client: see the package's own words."""
import http.client
import json
import pathlib
import socket
import sys
import time
import urllib.parse

MAX_ANSWER = 300 << 20
OPEN = ("proposed", "complete", "ready", "running", "void")
ENDS = ("done", "failed", "refused", "nothing happened", "stopped", "unknown")


class Error(Exception):
    """The node said no. `status`: of HTTP; `remedy`: what to do, may be empty."""

    def __init__(self, text, status=0, remedy=""):
        super().__init__(text + (f" ({remedy})" if remedy else ""))
        self.status, self.remedy = status, remedy


class NoNode(Error):
    """Nobody answers at the socket."""


class Refused(Error):
    """What was asked is wrong: a field, a file, a value."""


class Forbidden(Error):
    """Whoever runs this program may not do that here."""


class NotFound(Error):
    """There is no such proposal, run or path."""


class Conflict(Error):
    """It cannot be done as things stand."""


class Busy(Error):
    """The node is full or about to stop: ask again."""


class TimedOut(Error):
    """Not within the time that was given. Nothing is changed by it."""


class RunFailed(Error):
    """The run has no result. `run`: its object; state "unknown": the request may have been carried out."""

    def __init__(self, run):
        super().__init__(f"run {run['id'][:12]}: {run['state']}" + (f": {run['detail']}" if run["detail"] else ""))
        self.run = run


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Room:
    """One member's room, as its node has it. Connects for each question; safe to use from threads."""

    def __init__(self, path="/run/flexroom/node.sock", timeout=30.0):
        self.path, self.timeout = str(path), timeout

    # Questions.

    def status(self):
        return self._get("/v1/status")

    def members(self):
        return self._get("/v1/members")["members"]

    def health(self):
        """What is not as it should be, each with what helps; an empty list: all is well."""
        return self._get("/v1/health")["findings"]

    def leaks(self):
        """What tests on short secrets have told their services, by account."""
        return self._get("/v1/leaks")["accounts"]
    def people(self):
        """The rule of this member's people; None: it has none."""
        return self._get("/v1/people")["people"]

    def secrets(self):
        """Names, versions, purposes; values are nowhere."""
        return self._get("/v1/secrets")["secrets"]

    def log(self, search=""):
        """This member's log, oldest first, page by page."""
        number = 1
        while number:
            page = self._get("/v1/log", **{"from": number}, limit=1000, **({"q": search} if search else {}))
            yield from page["entries"]
            number = page.get("next")

    def proposals(self):
        """All, newest first."""
        return [Proposal(self, one) for one in self._get("/v1/proposals")["proposals"]]

    def inbox(self):
        """Those that wait."""
        return [one for one in self.proposals() if one.state in OPEN]

    def proposal(self, ident):
        return Proposal(self, self._get(f"/v1/proposals/{_digits(ident)}")["proposal"])

    def runs(self, proposal=""):
        """Newest first."""
        found = self._get("/v1/runs", limit=1000, **({"proposal": proposal} if proposal else {}))
        return [Run(self, one) for one in found["runs"]]

    def run(self, ident):
        return Run(self, self._get(f"/v1/runs/{_digits(ident)}")["run"])

    def events(self, after=None):
        """What happens from now on (or after that number), one object an event, until the node stops."""
        connection = _Connection(self.path, None)
        try:
            answer = self._ask(connection, "GET", _target("/v1/events", {} if after is None else {"after": after}))
            if answer.status != 200:
                raise _error(answer.status, answer.read(MAX_ANSWER))
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    # Proposals.

    def propose(self, kind, **fields):
        """`get`: url, provider; `call`: recipe (its text), arguments; `run-script`: arguments (of the job), script (its
        text). Of all: not_before, not_after (Unix seconds), times, every."""
        return Proposal(self, self._post("/v1/proposals", {"kind": kind, **fields})["proposal"])

    def propose_get(self, url, **fields):
        return self.propose("get", url=url, **fields)

    def propose_call(self, recipe, arguments=None, **fields):
        """`recipe`: the path of its file."""
        text = pathlib.Path(recipe).read_text(encoding="utf-8")
        return self.propose("call", recipe=text, arguments=arguments or {}, **fields)

    # HTTP.

    def _ask(self, connection, method, target, body=None, headers=None):
        try:
            connection.request(method, target, body, headers or {})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as problem:
            raise NoNode(f"no node answers at {self.path}: {problem}") from problem

    def _bytes(self, method, target, body=None):
        connection = _Connection(self.path, self.timeout)
        try:
            headers = {} if body is None else {"Content-Type": "application/json"}
            answer = self._ask(connection, method, target, body, headers)
            try:
                content = answer.read(MAX_ANSWER + 1)
            except (OSError, http.client.HTTPException) as problem:
                raise NoNode(f"the node's answer broke off: {problem}") from problem
            if len(content) > MAX_ANSWER:
                raise Error("the node answers more than 300 MiB")
            if answer.status >= 300:
                raise _error(answer.status, content)
            return content
        finally:
            connection.close()

    def _get(self, path, **query):
        return _object(self._bytes("GET", _target(path, query)))

    def _post(self, path, fields):
        return _object(self._bytes("POST", path, json.dumps(fields).encode()))


class Proposal:
    """A proposal as it stood when it was asked for; refresh() asks again."""

    def __init__(self, room, fields):
        self.room, self.fields = room, fields

    id = property(lambda self: self.fields["id"])
    state = property(lambda self: self.fields["state"])
    title = property(lambda self: self.fields["title"])
    decisions = property(lambda self: self.fields["decisions"])

    def __repr__(self):
        return f"<Proposal {self.id[:12]} {self.fields['kind']} {self.title!r} {self.state}>"

    def refresh(self):
        self.fields = self.room.proposal(self.id).fields
        return self

    def text(self):
        """All of it, as the members' people read it before they approve."""
        return self.room._get(f"/v1/proposals/{self.id}")["text"]

    def diff(self):
        """What is other than when it last ran; None: it never did."""
        return self.room._get(f"/v1/proposals/{self.id}/diff").get("diff")

    def give(self, slot, text):
        """This member's private input: of run-script the text of its links.toml for "links", of a recipe a value."""
        self.fields = self.room._post(f"/v1/proposals/{self.id}/inputs", {"slot": slot, "text": text})["proposal"]
        return self

    def runs(self):
        return self.room.runs(self.id)

    def wait_run(self, timeout=None, poll=0.2):
        """Its newest run, once there is one. Raises Conflict when none can come any more, and TimedOut."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            runs = self.runs()
            if runs:
                return runs[0]
            if self.refresh().state not in OPEN:
                runs = self.runs()  # it may have ended between the two questions
                if runs:
                    return runs[0]
                raise Conflict(f"the proposal is {self.state}: {self.fields['why']}")
            _sleep(poll, end)


class Run:
    """A run as it stood when it was asked for."""

    def __init__(self, room, fields):
        self.room, self.fields = room, fields

    id = property(lambda self: self.fields["id"])
    state = property(lambda self: self.fields["state"])
    status = property(lambda self: self.fields["status"])

    def __repr__(self):
        return f"<Run {self.id[:12]} {self.fields['kind']} {self.fields['title']!r} {self.state}>"

    def refresh(self):
        self.fields = self.room.run(self.id).fields
        return self

    def wait(self, timeout=None, progress=False, poll=0.2):
        """Until it ended; with `progress` its phases go to standard error. Raises TimedOut."""
        end = None if timeout is None else time.monotonic() + timeout
        shown = ""
        while self.refresh().state not in ENDS:
            if progress:
                now = self.room.status()
                line = f"{now.get('doing', '')} {now.get('phase', '')} {100 * now.get('share', 0):.0f} %"
                if line != shown:
                    print(line, file=sys.stderr, flush=True)
                    shown = line
            _sleep(poll, end)
        if progress:
            print(f"run {self.id[:12]}: {self.state}", file=sys.stderr, flush=True)
        return self

    def result(self):
        """The answer, as bytes. Raises RunFailed where there is none."""
        if self.refresh().state not in ("done", "failed", "refused"):
            raise RunFailed(self.fields)
        return self.room._bytes("GET", f"/v1/runs/{self.id}/result")


def _digits(ident):
    if not ident or ident.strip("0123456789abcdef"):
        raise Refused(f"{ident!r} is no id")
    return ident


def _target(path, query):
    return path + ("?" + urllib.parse.urlencode(query) if query else "")


def _object(content):
    try:
        out = json.loads(content)
    except ValueError:
        out = None
    if not isinstance(out, dict):
        raise Error("the node answered something that is no object")
    return out


def _error(status, content):
    try:
        said = _object(content)
    except Error:
        said = {}
    kind = {400: Refused, 403: Forbidden, 404: NotFound, 409: Conflict, 429: Busy, 503: Busy}.get(status, Error)
    return kind(str(said.get("error", f"status {status}")), status, str(said.get("remedy", "")))


def _sleep(poll, end):
    if end is not None and time.monotonic() >= end:
        raise TimedOut("not within the time that was given")
    time.sleep(poll)
