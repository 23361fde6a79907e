"""./demo as people start it, in a copy of the scripts it calls: what it installs and builds is written
down in place of done, so that this leaves the machine as it is. What it runs is written down too, except
in DemoRuns: there the whole demo runs, with the program that was built."""
import base64
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLED = ["tools/install.sh", "tools/build.sh", "examples/breast-cancer/demo.sh"]
FLEXROOM = ""


class Copy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flexroom-demo-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.calls = self.root / "calls"
        shutil.copy(ROOT / "demo", self.root / "demo")
        for name in CALLED:
            self.assertTrue((ROOT / name).is_file(), f"./demo calls {name}")
            script = self.root / name
            script.parent.mkdir(parents=True, exist_ok=True)
            # The lock must not be held by what it starts: 9 is its descriptor.
            script.write_text(f'#!/bin/sh\n[ -e /proc/self/fd/9 ] && l=locked || l=free\necho "{name} $l $*" >> {self.calls}\n')
            script.chmod(0o755)

    def demo(self, *arguments):
        return subprocess.run([self.root / "demo", *arguments], cwd="/", capture_output=True, text=True, timeout=280)


class Demo(Copy):
    def test_help_starts_nothing(self):
        for flag in ("--help", "-h"):
            done = self.demo(flag)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^usage: \./demo \[--tour\] ")
        self.assertFalse(self.calls.exists())
        self.assertFalse((self.root / "build").exists())

    def test_an_unknown_argument_is_refused(self):
        done = self.demo("--fast")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertRegex(done.stderr, r'unknown argument "--fast"\nusage: \./demo')
        self.assertFalse(self.calls.exists())
        self.assertFalse((self.root / "build").exists())

    def test_a_second_at_the_same_time_is_refused(self):
        (self.root / "build").mkdir()
        with (self.root / "build/demo.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = self.demo()
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"another \./demo .* is running .*Wait for its end\.")
        self.assertFalse(self.calls.exists())
        self.assertEqual(self.demo().returncode, 0)  # its lock ended with it

    def test_what_it_does_and_says_last(self):
        done = self.demo()
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = [line.split() for line in self.calls.read_text().splitlines()]
        self.assertEqual([call[0] for call in calls], CALLED)
        self.assertEqual(calls[0][2:], ["build", "demo"])
        self.assertEqual(calls[1][2:], ["flexroom"])
        self.assertEqual(calls[2][1:], ["free", f"{self.root}/build/release/flexroom", f"{self.root}/build/demo"])
        last = done.stdout.split("What to try next, in ")[1].splitlines()
        self.assertEqual(last[0], f"{self.root}:")
        # Each command is one that the program knows, and its files are those the demo makes.
        commands = [line.split() for line in last[1:]]
        self.assertEqual(len(commands), 3)
        made = (ROOT / "examples/breast-cancer/demo.sh").read_text()
        for words in commands:
            self.assertEqual(words[0], "build/release/flexroom")
            rest = words[1:]
            for word in rest:
                if word.startswith("build/demo/"):
                    self.assertIn(pathlib.Path(word).name, made)
            if rest[0] == "--member":
                rest = rest[2:]
            shown = subprocess.run([FLEXROOM, rest[0], "--help"], capture_output=True, text=True, timeout=120)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            for option in (word for word in rest if word.startswith("--")):
                self.assertRegex(shown.stdout, rf"{re.escape(option)}\b")


def installed_kib(wanted):
    """What these Debian packages and all that they depend on take, beyond a minimal system."""
    form = "${Package}\t${Priority}\t${Installed-Size}\t${Depends},${Pre-Depends}\t${Provides}\n"
    rows = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
    packages, providers = {}, {}
    for row in rows.splitlines():
        name, priority, size, depends, provides = row.split("\t")
        packages[name] = (priority, int(size or 0), depends)
        for virtual in re.findall(r"(?:^|, )([\w.+-]+)", provides):
            providers.setdefault(virtual, name)
    todo, taken = list(wanted), set()
    while todo:
        name = todo.pop()
        if name in taken or name not in packages or packages[name][0] in ("required", "important"):
            continue
        taken.add(name)
        for one_of in packages[name][2].split(","):
            names = [re.split(r"[ :(]", choice.strip())[0] for choice in one_of.split("|")]
            todo += [have for have in (n if n in packages else providers.get(n) for n in names) if have][:1]
    return sum(packages[name][1] for name in taken)


class Install(unittest.TestCase):
    def test_the_demo_needs_less_than_500_megabytes(self):
        text = (ROOT / "tools/install.sh").read_text()
        wanted = [name for kind in ("build", "demo") for name in re.search(rf"^{kind}=\(([^)]*)\)", text, re.M)[1].split()]
        self.assertGreater(len(wanted), 12)
        self.assertLess(installed_kib(wanted), 500 * 1000 * 1000 // 1024)
        self.assertGreater(installed_kib(wanted), 100 * 1024)  # it did look

    def test_apt_is_told_in_lines_of_tenths(self):
        shown = re.search(r"^show\(\) \{\n.*?^\}", (ROOT / "tools/install.sh").read_text(), re.M | re.S)[0]
        status = "".join(f"dlstatus:{k}:{k * 2.5}:Retrieving\n" for k in range(41)) + "pmstatus:g++:55.1:Unpacking\n"
        done = subprocess.run(["bash", "-c", shown + "\nshow"], input=status, capture_output=True, text=True, timeout=60)
        self.assertEqual(len(re.findall("downloaded", done.stdout)), 11)
        self.assertIn("unpacked and set up 50 %", done.stdout)


# Of what the sandbox writes down: opened to all, or the words of an approved file.
OPEN = {"account", "answer", "captcha answer", "case", "id", "idempotency key", "metadata1", "product", "quota request",
        "telephone code"}


def secrets_of(seen):
    """What no member may have, of what the sandbox saw and gave so far; what is shorter would be found by chance."""
    if not seen.exists():
        return set()
    lines = seen.read_text().splitlines()
    lines = [json.loads(line) for line in lines if line.endswith("}")]  # the last one may be half written
    return {one["value"] for one in lines if one["what"] not in OPEN and len(one["value"]) >= 12}


def forms_of(secret):
    raw = secret.encode()
    return {raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"="), raw[::-1]}


def image_of(pid):
    """Its memory, as a core dump would have it: what it may write, private."""
    out = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if rights.startswith("rw") and "[v" not in line:
                begin, end = (int(part, 16) for part in span.split("-"))
                try:
                    memory.seek(begin)
                    out.append(memory.read(end - begin))
                except OSError:
                    pass
    return b"".join(out)


class Watch(threading.Thread):
    """Looks into the members' processes of the story while they run, at what the sandbox has seen by then."""
    COMMANDS = ("create-session", "run-script")
    LOOKS = 6  # of each process, at most

    def __init__(self, demo):
        super().__init__(daemon=True)
        self.demo, self.looked, self.found, self.ids, self.done = demo, {}, [], set(), threading.Event()

    def run(self):
        while not self.done.wait(0.2):  # run-script is done in a second
            for entry in pathlib.Path("/proc").iterdir():
                if entry.name.isdigit():
                    self.look(entry)

    def look(self, entry):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            command = next((one for one in self.COMMANDS if one.encode() in words), None)
            # Not flow.py, which reads what the sandbox saw to answer in a person's place.
            member = pathlib.Path(os.fsdecode(words[0])).name == "flexroom"
            if command is None or not member or not any(str(self.demo).encode() in word for word in words):
                return
            if self.looked.get((command, entry.name), 0) >= self.LOOKS:
                return
            secrets = secrets_of(self.demo / "seen")
            image = image_of(entry.name)
        except (OSError, ValueError):  # it ended
            return
        self.looked[command, entry.name] = self.looked.get((command, entry.name), 0) + 1
        self.found += [(command, entry.name, secret) for secret in secrets if any(form in image for form in forms_of(secret))]
        self.ids |= {(command, name) for name in re.findall(rb"AKIA[A-Z0-9]{16}", image)}


# What a container has by default.
CONTAINER = ("chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,"
             "mknod,audit_write,setfcap").split(",")
NOBODY = 65534


class DemoRuns(Copy):
    """The whole of it, to the last sentence, and then what it says to try next."""

    def setUp(self):
        super().setUp()
        shutil.copytree(ROOT / "share", self.root / "share")
        example = self.root / "examples/breast-cancer"
        shutil.rmtree(example)
        shutil.copytree(ROOT / "examples/breast-cancer", example)
        (self.root / "build/release").mkdir(parents=True)
        for program in (pathlib.Path(FLEXROOM), pathlib.Path(FLEXROOM).with_name("flexroom-sandbox")):
            shutil.copy(program, self.root / "build/release")

    def run_to_its_end(self, *under, short=True):
        """`under`: a command that runs it; `short`: without the joint account. Returns what the sandbox said of its
        instances."""
        environment = {**os.environ, **({"FLEXROOM_DEMO_SHORT": "1"} if short else {})}
        watch = Watch(self.root / "build/demo")
        if not short and os.geteuid() == 0:
            watch.start()
        done = subprocess.run([*under, self.root / "demo"], cwd="/", capture_output=True, text=True, timeout=600,
                              env=environment)
        watch.done.set()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        if not short:
            self.assert_account_and_key(done.stdout)
        if watch.ident is not None:
            watch.join()
            self.assertEqual(watch.found, [])
            # It does find what is there: both commands were looked at, and the key's id is in run-script's memory.
            self.assertEqual({command for command, _ in watch.looked}, set(Watch.COMMANDS))
            self.assertIn("run-script", {command for command, _ in watch.ids})
        self.assertRegex(done.stdout, r"Model on the pooled data: \d+\.\d % right on \d+ held-out patients\.\n"
                                      r"hospital-a alone would have reached .* %\.\n"
                                      r"hospital-b alone would have reached .* %\.\n"
                                      r"Neither hospital saw the other's rows, its links, or the account's key\.\n" +
                                      ("" if short else self.PROOF) + r"\nWhat to try next, in ")
        self.assertRegex(done.stdout, r"\n  the call of the two took \d+\.\d s   published, with ten calls: 439 s\n")
        last = done.stdout.split("What to try next, in ")[1].splitlines()[1:]
        for words in (line.split() for line in last if not line.endswith(" bench")):
            tried = subprocess.run([*under, *words], cwd=self.root, capture_output=True, text=True, timeout=120)
            self.assertEqual(tried.returncode, 0, " ".join(words) + "\n" + tried.stdout + tried.stderr)
        return (self.root / "build/demo/sandbox.log").read_text()

    PROOF = (r"The sandbox saw the account's address, password, sign-in cookie and API key; "
             r"none of them is in any of the hospitals' \d+ files\.\n")

    def search(self):
        return subprocess.run(["/usr/bin/python3", ROOT / "examples/breast-cancer/search.py", self.root / "build/demo"],
                              capture_output=True, text=True, timeout=120)

    def test_the_search_finds_what_is_there_and_says_where(self):
        work = self.root / "build/demo"
        (work / "hospital-a/state").mkdir(parents=True)
        (work / "hospital-b.log").write_text("nothing")
        seen = [("email", "k3v0q7z2m5xa@example-mail.test"), ("password", "correct horse Aa1!"),
                ("cookie creds", "c" * 43), ("access key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")]
        (work / "seen").write_text("".join(json.dumps({"what": what, "value": value}) + "\n" for what, value in seen))
        file = work / "hospital-a/state/state.db"
        file.write_text("all shares")
        done = self.search()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, "^" + self.PROOF + "$")
        for (_, value), name in zip(seen, ("address", "password", "sign-in cookie", "API key")):
            for form in forms_of(value):
                file.write_bytes(b"x" + form + b"y")
                done = self.search()
                self.assertEqual((done.returncode, done.stdout, done.stderr.strip()),
                                 (1, "", f"{file} holds the account's {name}."))
        (work / "seen").write_text("")
        self.assertRegex(self.search().stderr, "saw no address")

    def assert_account_and_key(self, said):
        """Each step with its time and bytes, the published ones beside them; the sandbox has that account and key."""
        for line in (r"GetOTP +ok +\d+\.\d s +\d+\.\d MB", r"SolveCaptcha: the person of hospital-a is asked",
                     r"CreateAWSCredentials +ok +\d+\.\d s +\d+\.\d MB +published +67\.9 s",
                     r"all of it +\d+\.\d s +\d+\.\d MB +published: 2725 s",
                     r"StartEC2Instance +ok .* published +237\.3 s", r"CreateSagemakerJob +ok .* published +30\.6 s",
                     r"all of it +\d+\.\d s +\d+\.\d MB +published: 439 s",
                     r"known to all: instance-id = i-[0-9a-f]{17}", r"known to all: keys/id = AKIA[A-Z0-9]{16}"):
            self.assertRegex(said, r"\n  " + line)
        cloud = self.root / "build/demo/cloud"
        (person,) = json.loads((cloud / "people.json").read_text()).values()
        self.assertIn("known to all: account-id = " + person["account_id"], said)
        keys = json.loads((cloud / "iam.json").read_text())["accounts"][person["account_id"]]["keys"]
        self.assertEqual(["known to all: keys/id = " + key for key in keys],
                         re.findall(r"known to all: keys/id = \w+", said))
        seen = self.root / "build/demo/seen"
        (key,) = [json.loads(line)["value"] for line in seen.read_text().splitlines() if '"access key"' in line]
        # Nothing of the whole story, run-script included, stands in what was printed or in any file of a member; the same
        # search finds all of it at the sandbox.
        secrets = secrets_of(seen)
        self.assertLessEqual({key, person["email"], person["password"]}, secrets)
        self.assertGreater(len(secrets), 20)
        files = {path: path.read_bytes() for name in ("hospital-a", "hospital-b")
                 for path in (self.root / "build/demo" / name).rglob("*") if path.is_file()}
        at_sandbox = seen.read_bytes()
        for secret in secrets:
            self.assertIn(json.dumps(secret)[1:-1].encode(), at_sandbox)
            for form in forms_of(secret):
                self.assertNotIn(form, said.encode())
                for path, content in files.items():
                    self.assertNotIn(form, content, path)

    def test_the_tour_ends_with_a_page_and_a_proposal_that_waits(self):
        """Both nodes, the link; approved at both it runs; Ctrl-C leaves nothing behind."""
        shutil.copy(pathlib.Path(FLEXROOM).with_name("flexroom-node"), self.root / "build/release")
        tour = subprocess.Popen([self.root / "demo", "--tour"], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True, env={**os.environ, "FLEXROOM_DEMO_SHORT": "1"})
        late = threading.Timer(400, os.killpg, (tour.pid, signal.SIGKILL))
        late.start()
        try:
            said = []
            for line in tour.stdout:
                said.append(line)
                if "/#open=" in line:
                    break
            text = "".join(said)
            link = re.search(r"(http://localhost:\d+)/#open=([0-9a-f]{64})", text)
            self.assertIsNotNone(link, text)
            origin, token = link.groups()
            with urllib.request.urlopen(origin + "/", timeout=20) as page:
                self.assertIn(b"/app.js", page.read())
            request = urllib.request.Request(origin + "/v1/console/open", json.dumps({"link": token}).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                page_token = json.load(answer)["token"]

            def ask(path):
                request = urllib.request.Request(origin + path, headers={"Authorization": f"Bearer {page_token}"})
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.load(answer)

            (waits,) = ask("/v1/proposals")["proposals"]
            self.assertEqual((waits["state"], waits["proposer"]), ("complete", "hospital-b"))
            for words in re.findall(r"^  (\S+ --member \S+ proposal approve \w+)$", text, re.M):
                done = subprocess.run([*words.split()[:1], "--yes", *words.split()[1:]], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            end = time.monotonic() + 90
            while (state := ask("/v1/proposals")["proposals"][0]["state"]) != "done" and time.monotonic() < end:
                time.sleep(0.3)
            self.assertEqual(state, "done")
            self.assertEqual(ask("/v1/runs")["runs"][0]["status"], 200)
            os.killpg(tour.pid, signal.SIGINT)
            self.assertEqual(tour.wait(60), 0)
            with self.assertRaises(OSError):
                urllib.request.urlopen(origin + "/", timeout=5)
        finally:
            late.cancel()
            if tour.poll() is None:
                os.killpg(tour.pid, signal.SIGKILL)
            tour.stdout.close()

    def test_to_its_end(self):
        self.run_to_its_end(short=False)

    @unittest.skipIf(os.geteuid() != 0, "another user can be taken by root alone; to_its_end runs as this one")
    def test_as_a_user_who_is_not_root(self):
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", self.root], check=True)
        said = self.run_to_its_end("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.assertIn("not root: instances run as you, without isolation", said)

    @unittest.skipIf(subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0,
                     "mounts of its own take CAP_SYS_ADMIN; where that is missing to_its_end is this test")
    def test_in_a_container_without_a_hosts_file(self):
        etc = self.root / "etc"
        subprocess.run(["cp", "-a", "/etc", etc], check=True)
        (etc / "hosts").unlink(missing_ok=True)
        capabilities = ",".join(["-all", *("+" + name for name in CONTAINER)])
        said = self.run_to_its_end(
            "unshare", "-m", "sh", "-c", f'mount --bind {etc} /etc && [ ! -e /etc/hosts ] && exec "$@"', "sh",
            "setpriv", f"--bounding-set={capabilities}", "--inh-caps=-all")
        self.assertIn("no namespaces can be made here (CAP_SYS_ADMIN is missing)", said)


if __name__ == "__main__":
    FLEXROOM = sys.argv.pop(1)
    unittest.main()
