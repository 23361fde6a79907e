#!/usr/bin/python3
"""The Debian packages: what is in them, the same bytes twice; installed, upgraded, refused and purged by dpkg in a root of
its own. A long run (FLEXROOM_LONG) builds the source twice in two folders, has lintian look at the packages and apt install
them into a minimal Debian 12, from which a container image is made.

usage: package_test.py SOURCE_DIR BUILD_DIR [unittest arguments]
"""
import io
import os
import pathlib
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

SOURCE, BUILD = pathlib.Path(), pathlib.Path()
LONG = os.environ.get("FLEXROOM_LONG")
SECONDS = 300
PACKAGES = ("flexroom", "flexroom-sandbox", "libflexroom-dev")


def run(*command, seconds=SECONDS, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout + done.stderr


def must(*command, **options):
    code, text = run(*command, **options)
    assert code == 0, f"{command}: {code}\n{text}"
    return text


def pack(out):
    # gzip in the place of xz: what a test needs is a package, not a small one.
    must("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", out, "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip", cwd=BUILD)
    return {file.name.split("_")[0]: file for file in sorted(out.glob("*.deb"))}


def field(package, name):
    return must("dpkg-deb", "-f", package, name).strip()


def content(package):
    """{path: tar entry} of a package's files."""
    raw = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {entry.name.lstrip("."): entry for entry in tar}


def with_version(package, version, folder):
    """The same package under another version number, its scripts with it."""
    tree = folder / f"{package.stem}-{version}.tree"
    must("dpkg-deb", "-R", package, tree)
    old = field(package, "Version")
    for file in (tree / "DEBIAN").iterdir():
        if file.name in ("control", "preinst"):
            file.write_text(file.read_text().replace(old, version))
    out = folder / f"{package.name.split('_')[0]}_{version}_x.deb"
    must("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, out)
    return out


def can_mount():
    return os.geteuid() == 0 and run("unshare", "-m", "true")[0] == 0


class Root:
    """A root file system of its own: what it writes goes to `upper`, over what this machine has, which stays as it is.
    No package of ours is in it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tmpfs").mkdir()

    def script(self, lines):
        return f"""set -e
mount -t tmpfs tmpfs {self.folder}/tmpfs
mkdir -p {self.folder}/tmpfs/upper {self.folder}/tmpfs/work {self.folder}/tmpfs/root
mount -t overlay overlay -o lowerdir=/,upperdir={self.folder}/tmpfs/upper,workdir={self.folder}/tmpfs/work {self.folder}/tmpfs/root
mkdir -p {self.folder}/tmpfs/root/packages
mount --bind {self.folder}/packages {self.folder}/tmpfs/root/packages
mount -t proc proc {self.folder}/tmpfs/root/proc
cd /
cat > {self.folder}/tmpfs/root/in.sh <<'INSIDE'
{lines}
INSIDE
exec chroot {self.folder}/tmpfs/root /bin/sh /in.sh
"""

    def run(self, lines):
        """Runs a shell script in it: everything that it did is gone afterwards."""
        return run("unshare", "-m", "--propagation", "private", "sh", "-c", self.script(lines),
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"})


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="flexroom-packages-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.packages = pack(cls.work / "one")

    def test_the_same_tree_packed_twice_gives_the_same_bytes(self):
        again = pack(self.work / "two")
        self.assertEqual(set(again), set(self.packages))
        for name, file in again.items():
            self.assertEqual(file.read_bytes(), self.packages[name].read_bytes(), name)

    def test_each_has_what_it_is_for(self):
        self.assertLessEqual(set(PACKAGES), set(self.packages))
        files = {name: content(file) for name, file in self.packages.items()}
        for name, entries in files.items():
            with self.subTest(name=name):
                for want in ("copyright", "changelog.gz", "changelog.Debian.gz"):
                    self.assertIn(f"/usr/share/doc/{name}/{want}", entries)
                payload = [path for path, entry in entries.items() if entry.isfile() and "/share/doc/" not in path]
                self.assertGreater(len(payload), 1, "an empty package")
        for want in ("bin/flexroom", "share/flexroom/flows/create-account.toml", "share/flexroom/flows/names/given.txt",
                     "share/flexroom/flows/flow.schema.json", "share/flexroom/schemas/room.schema.json",
                     "share/flexroom/recipes/who-am-i.toml", "share/man/man1/flexroom.1.gz",
                     "share/man/man5/room.toml.5.gz", "share/man/man5/links.toml.5.gz", "share/doc/flexroom/docs/files.md",
                     "share/bash-completion/completions/flexroom", "share/zsh/vendor-completions/_flexroom",
                     "share/fish/vendor_completions.d/flexroom.fish"):
            self.assertIn("/usr/" + want, files["flexroom"])
        self.assertNotIn("/usr/bin/flexroom-sandbox", files["flexroom"])
        self.assertIn("/usr/bin/flexroom-sandbox", files["flexroom-sandbox"])
        self.assertIn("/usr/share/man/man1/flexroom-sandbox.1.gz", files["flexroom-sandbox"])
        library = files["libflexroom-dev"]
        self.assertTrue(any(path.endswith("/libflexroom.a") for path in library))
        self.assertTrue(any(path.endswith("/flexroom-config.cmake") for path in library))
        self.assertTrue(any(path.endswith("/pkgconfig/flexroom.pc") for path in library))
        self.assertIn("/usr/include/flexroom/session.h", library)

    def test_owners_rights_and_times(self):
        epoch = int(must("date", "-u", "-d", re.search(r"(?m)^ -- .*>  (.*)$", (
            SOURCE / "packaging/changelog").read_text()).group(1), "+%s"))
        for name, file in self.packages.items():
            for path, entry in content(file).items():
                with self.subTest(package=name, path=path):
                    self.assertEqual((entry.uid, entry.gid), (0, 0))
                    self.assertEqual(entry.mtime, epoch)
                    program = entry.isdir() or path.startswith("/usr/bin/")
                    self.assertEqual(stat.S_IMODE(entry.mode), 0o755 if program else 0o644)

    def test_what_they_depend_on_is_what_the_programs_link(self):
        for name in ("flexroom", "flexroom-sandbox"):
            depends = field(self.packages[name], "Depends")
            self.assertRegex(depends, r"libc6 \(>= [\d.]+\)")
            self.assertRegex(depends, r"libssl3 \(>= ")
        self.assertRegex(field(self.packages["flexroom"], "Depends"), "libcurl4.*libsodium23.*libsqlite3-0")
        asked = set(field(self.packages["libflexroom-dev"], "Depends").replace(",", "").split())
        self.assertLessEqual({"libssl-dev", "libsodium-dev", "libsqlite3-dev", "libfmt-dev", "libtomlplusplus-dev"}, asked)
        for name, file in self.packages.items():
            self.assertEqual(field(file, "Version"), re.search(r"\((.*?)\)", (
                SOURCE / "packaging/changelog").read_text()).group(1))

    def installed(self, lines):
        if not can_mount():
            self.skipTest("a root of its own takes root and CAP_SYS_ADMIN")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="flexroom-root-"))
        try:
            (folder / "packages").mkdir()
            for file in (self.work / "given").iterdir():
                shutil.copy(file, folder / "packages")
            code, text = Root(folder).run(lines)
            if "mount: " in text and "overlay" in text:
                self.skipTest("overlay file systems cannot be mounted here")
            return code, text
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def given(self):
        """now, old and new (higher) versions of the packages, by plain names."""
        folder = self.work / "given"
        if not folder.exists():
            folder.mkdir()
            for name in PACKAGES:
                shutil.copy(self.packages[name], folder / f"{name}.deb")
            trees = self.work / "trees"
            trees.mkdir()
            shutil.copy(with_version(self.packages["flexroom"], "0.0.9-1", trees), folder / "older.deb")
            shutil.copy(with_version(self.packages["flexroom"], "99.1.0-1", trees), folder / "newer.deb")
        return folder

    def test_install_upgrade_downgrade_purge(self):
        self.assertTrue(self.given)
        code, text = self.installed(r"""
set -e
cd /root
find /usr /etc /opt /srv /var/lib/flexroom* -xdev 2>/dev/null | sort > /tmp.before
dpkg -i /packages/older.deb >/dev/null
echo "version $(dpkg-query -W -f='${Version}' flexroom)"
dpkg -i /packages/flexroom.deb /packages/flexroom-sandbox.deb >/dev/null   # the upgrade
echo "version $(dpkg-query -W -f='${Version} ${Status}' flexroom)"
dpkg --verify flexroom flexroom-sandbox
flexroom --version
# What is shipped is found beside the installed program, and not elsewhere.
flexroom recipe check /usr/share/flexroom/flows/create-account.toml
flexroom create-account --i-know 2>&1 || echo "code $?"
mv /usr/share/flexroom /usr/share/away
flexroom create-account --i-know 2>&1 || echo "code $?"
mv /usr/share/away /usr/share/flexroom
flexroom schema room | head -1
flexroom sandbox --help | head -1
man -w flexroom room.toml 2>/dev/null || ls /usr/share/man/man1/flexroom.1.gz
# A member's things are its own: no package touches them.
mkdir member && cd member && flexroom init --identity hospital-a >/dev/null && cd ..
echo "-- a newer one is installed; this one is older"
dpkg -i /packages/newer.deb >/dev/null
dpkg -i /packages/flexroom.deb 2>&1 || echo "refused: $?"
echo "version $(dpkg-query -W -f='${Version} ${Status}' flexroom)"
flexroom --version
FLEXROOM_ALLOW_DOWNGRADE=yes dpkg -i /packages/flexroom.deb >/dev/null 2>&1
echo "version $(dpkg-query -W -f='${Version} ${Status}' flexroom)"
dpkg --purge flexroom flexroom-sandbox >/dev/null
ls member/identity | tr '\n' ' '
rm -r member
find /usr /etc /opt /srv /var/lib/flexroom* -xdev 2>/dev/null | sort > /tmp.after
comm -3 /tmp.before /tmp.after | sed 's/^/left: /'
dpkg-query -W -f='${Status}\n' flexroom 2>&1 | sed 's/^/then: /'
""")
        self.assertEqual(code, 0, text)
        self.assertIn("version 0.0.9-1\n", text)
        now = field(self.packages["flexroom"], "Version")
        self.assertIn(f"version {now} install ok installed\n", text)
        self.assertRegex(text, r"(?m)^flexroom \d+\.\d+\.\d+$")
        self.assertRegex(text, r"create-account: a flow of \d+ steps, nothing is wrong")
        found, missing = text.split("code 3")[0], text.split("code 3")[1]
        self.assertIn("nobody" if "nobody" in found else "member.toml", found)
        self.assertNotIn("shipped flow files", found)
        self.assertIn("the shipped flow files", missing)
        after = text.split("-- a newer one is installed")[1]
        self.assertIn(f"version 99.1.0-1 is installed, and this is the older {now}: refused", after)
        self.assertIn("refused: 1\nversion 99.1.0-1 install ok installed\n", after)
        self.assertEqual(after.count(f"version {now} install ok installed"), 1)
        self.assertIn("member.key", after)
        self.assertNotIn("left: ", after)
        self.assertNotIn("ok installed", after.split("then: ")[-1])

    def test_a_state_of_a_newer_format_is_refused_and_left_as_it_is(self):
        """docs/formats.md: the header row 00 names the format."""
        program = BUILD / "flexroom"
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            own = re.search(r"[0-9a-f]{64}", must(program, "init", "--identity", "hospital-a", cwd=home)).group()
            (home / "room.toml").write_text('[room]\nname = "r"\n' + "".join(
                f'[[member]]\nname = "{name}"\naddress = "127.0.0.1:{port}"\ncertificate = "{digest}"\n'
                for name, port, digest in (("hospital-a", 1, own), ("hospital-b", 2, "a" * 64))))
            state = home / "state/state.db"
            state.parent.mkdir(mode=0o700, exist_ok=True)
            database = sqlite3.connect(state)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE header (name BLOB PRIMARY KEY, value BLOB)")
            database.execute("CREATE TABLE rows (kind BLOB, name BLOB, label BLOB, sealed BLOB, PRIMARY KEY (kind, name)) "
                             "WITHOUT ROWID")
            database.execute("INSERT INTO header VALUES (?, ?)", (b"\0", b"flexroom store 2"))
            database.commit()
            database.close()
            state.chmod(0o600)
            before = state.read_bytes()
            for command in (["status"], ["secret", "list"], ["log"], ["init"]):
                code, text = run(program, *command, cwd=home)
                self.assertEqual(code, 3, text)
                self.assertIn("was written by another version of flexroom: its format is 'flexroom store 2', this version "
                              "has 'flexroom store 1'", text)
                self.assertIn("use that version, or a newer one; the file is whole", text)
                self.assertEqual(state.read_bytes(), before, command)


@unittest.skipUnless(LONG, "in a long run (./check --long)")
class Whole(unittest.TestCase):
    def test_a_two_builds_in_two_folders_give_the_same_bytes(self):
        self.assertIn("two builds, the same bytes", must(SOURCE / "tools/package.sh", "--twice", "--check", seconds=7200))

    def test_b_apt_installs_them_into_a_minimal_debian_and_it_runs_as_a_container(self):
        if shutil.which("mmdebstrap") is None:
            self.skipTest("mmdebstrap is not there")
        packages = SOURCE / "build/package/packages"
        with tempfile.TemporaryDirectory() as folder:
            said = must(SOURCE / "packaging/image.sh", packages, folder + "/image", seconds=3600)
            self.assertRegex(said, r"(?m)^flexroom \d+\.\d+\.\d+$")
            self.assertIn("create-account: a flow of", said)
            self.assertIn("flexroom sandbox", said)
            self.assertEqual({file.name for file in (pathlib.Path(folder) / "image").iterdir()},
                             {"Containerfile", "root.tar"})


if __name__ == "__main__":
    SOURCE, BUILD = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
